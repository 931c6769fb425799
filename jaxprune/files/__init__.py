"""Files of a workdir: written so that they are whole or not there, read so that a broken one is named."""

from jaxprune.files import sealed
from jaxprune.files.arrays import read_npz
from jaxprune.files.records import LEFT_OUT_IF_NONE, from_json, read_json, to_json
from jaxprune.files.whole import short_names, write_json, write_text

__all__ = [
    "LEFT_OUT_IF_NONE",
    "from_json",
    "read_json",
    "read_npz",
    "sealed",
    "short_names",
    "to_json",
    "write_json",
    "write_text",
]
