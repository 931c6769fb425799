"""Files of a workdir and from outside: written atomically, read with errors that name file and fault."""

from jaxprune.files import sealed as sealed
from jaxprune.files.arrays import BROKEN_ZIP as BROKEN_ZIP
from jaxprune.files.arrays import read_npz as read_npz
from jaxprune.files.arrays import write_npz as write_npz
from jaxprune.files.json_text import parse_json as parse_json
from jaxprune.files.regular import check_regular as check_regular
from jaxprune.files.regular import open_regular as open_regular
from jaxprune.files.regular import read_regular as read_regular
from jaxprune.files.regular import read_text as read_text
from jaxprune.files.typed_json import LEFT_OUT_IF_NONE as LEFT_OUT_IF_NONE
from jaxprune.files.typed_json import Count as Count
from jaxprune.files.typed_json import Finite as Finite
from jaxprune.files.typed_json import Hexadecimal as Hexadecimal
from jaxprune.files.typed_json import Scalar as Scalar
from jaxprune.files.typed_json import Seconds as Seconds
from jaxprune.files.typed_json import Share as Share
from jaxprune.files.typed_json import from_json as from_json
from jaxprune.files.typed_json import read_as as read_as
from jaxprune.files.typed_json import read_json as read_json
from jaxprune.files.typed_json import to_json as to_json
from jaxprune.files.whole import short_names as short_names
from jaxprune.files.whole import user_cache as user_cache
from jaxprune.files.whole import write_json as write_json
from jaxprune.files.whole import write_text as write_text
