"""Files of a workdir and from outside: written atomically, read with errors that name file and fault."""

from jaxprune.base.files import sealed as sealed
from jaxprune.base.files.arrays import read_npz as read_npz
from jaxprune.base.files.arrays import write_npz as write_npz
from jaxprune.base.files.digests import combined as combined
from jaxprune.base.files.objects import pointer_at as pointer_at
from jaxprune.base.files.objects import with_bytes as with_bytes
from jaxprune.base.files.outside import json_of_file as json_of_file
from jaxprune.base.files.outside import parse_json as parse_json
from jaxprune.base.files.outside import read_json as read_json
from jaxprune.base.files.outside import read_text as read_text
from jaxprune.base.files.places import local_path as local_path
from jaxprune.base.files.places import shown_path as shown_path
from jaxprune.base.files.places import staged_at as staged_at
from jaxprune.base.files.store import Store as Store
from jaxprune.base.files.store import check_address as check_address
from jaxprune.base.files.store import is_address as is_address
from jaxprune.base.files.whole import short_names as short_names
from jaxprune.base.files.whole import user_cache as user_cache
from jaxprune.base.files.whole import write_json as write_json
from jaxprune.base.files.whole import write_text as write_text
