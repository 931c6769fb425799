"""Files of a workdir and from outside: written so that they are whole or not there, read so that faults are named."""

from jaxprune.files import sealed
from jaxprune.files.arrays import BROKEN_ZIP, read_npz
from jaxprune.files.json_text import parse_json
from jaxprune.files.json_values import Count, Finite, Hexadecimal, Scalar, Seconds, Share
from jaxprune.files.regular import check_regular, open_regular, read_regular, read_text
from jaxprune.files.typed_json import LEFT_OUT_IF_NONE, from_json, read_as, read_json, to_json
from jaxprune.files.user_cache import user_cache
from jaxprune.files.whole import json_lines, short_names, write_json, write_text

__all__ = [
    "BROKEN_ZIP",
    "LEFT_OUT_IF_NONE",
    "Count",
    "Finite",
    "Hexadecimal",
    "Scalar",
    "Seconds",
    "Share",
    "check_regular",
    "from_json",
    "json_lines",
    "open_regular",
    "parse_json",
    "read_as",
    "read_json",
    "read_npz",
    "read_regular",
    "read_text",
    "sealed",
    "short_names",
    "to_json",
    "user_cache",
    "write_json",
    "write_text",
]
