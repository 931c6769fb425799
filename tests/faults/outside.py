"""Rows of the table of faults: files from outside that are folders, JSON that no reader expects, names that no
terminal should be sent."""

import json
import shutil
import struct

from faults.fault import Fault, both
from faults.place import WEIGHTS

DEEP = b"[" * 100_000


def in_header(text):
    return struct.pack("<Q", len(text)) + text


def strange_tensors(names):
    """A model with empty tensors of these names."""

    def make(place):
        folder = place.model()
        content = (folder / WEIGHTS).read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
        text = json.dumps(dict.fromkeys(names, entry) | header).encode()
        (folder / WEIGHTS).write_bytes(in_header(text) + content[8 + length :])
        return folder

    return make


def task_file(place, content):
    return place.evaluate(f"evaluation.tasks={place.file(content, 'toy.toml')}")


ROWS = {
    "config.json: folder": Fault(
        lambda p: p.prune(
            model=both(f := p.model(), (f / "config.json").unlink(), (f / "config.json").mkdir(), f)
        ),
        r"Is a directory: '.*config\.json'", 1,
    ),
    "config.json: dtype of weights that are not there": Fault(
        lambda p: [*p.prune(model=both(f := p.model(dtype={"a": 1}), (f / WEIGHTS).unlink(), f)), "--plan"],
        r"config\.json: dtype: got \{'a': 1\}; expected float32, float16, bfloat16",
    ),
    "task: deep": Fault(lambda p: task_file(p, b"name = " + DEEP), r"toy\.toml: not TOML.*recursion"),
    "a tensor with escapes": Fault(
        lambda p: p.prune(model=strange_tensors(["\x1b[31mred\n\u202e"])(p)),
        r"tensor \\x1b\[31mred\\n\\u202e not expected",
    ),
    "a tensor whose name does not end": Fault(
        lambda p: p.prune(model=strange_tensors(["x" * 100_000])(p)), r"tensor x{1000,1900} … x*.{,60} model$"
    ),
    "a folder with a line break": Fault(
        lambda p: p.prune(model=shutil.copytree(p.model(n_head=0), p.folder / "a\n\x1b[1mb")),
        r"a\\n\\x1b\[1mb/config\.json: n_head is 0",
    ),
}  # fmt: skip
