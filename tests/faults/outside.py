"""Rows of the table of faults: files from outside that are folders, JSON that no reader expects, names that no
terminal should be sent."""

import functools
import json
import shutil
import struct

from faults.fault import Fault, both
from faults.place import GOOD_ROW, WEIGHTS

DEEP = b"[" * 100_000


def broken(name, content, says):
    """A model with other bytes in one of its files."""
    return Fault(lambda p: p.wanda("nano", model=p.with_file(name, content)), says)


def in_header(text):
    return struct.pack("<Q", len(text)) + text


def line(says, text, *fields):
    return Fault(
        lambda p: p.evaluate(p.task(GOOD_ROW, text), "evaluation.languages=en", *fields), says
    )


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
    "texts: folder": Fault(
        lambda p: p.wanda(both(t := p.texts(en="a\n"), (t / "fr.txt").mkdir(), t)), r"Is a directory: '.*fr\.txt'", 1
    ),
    "config.json: deep": broken("config.json", DEEP, r"config\.json: not JSON: .*recursion"),
    "config.json: deep attribute": Fault(
        lambda p: p.prune(model=p.model(n_head=functools.reduce(lambda inner, _: {"a": inner}, range(300), 4))),
        r"config\.json: n_head is \{'a': .*, expected int",
    ),
    "config.json: dtype of weights that are not there": Fault(
        lambda p: [*p.prune(model=both(f := p.model(dtype={"a": 1}), (f / WEIGHTS).unlink(), f)), "--plan"],
        r"config\.json: dtype: got \{'a': 1\}; expected float32, float16, bfloat16",
    ),
    "row: deep": line(r"en\.jsonl:2: .*recursion", '{"text": "a", "label": ' + DEEP.decode()),
    "task: deep": Fault(lambda p: task_file(p, b"name = " + DEEP), r"toy\.toml: not TOML.*recursion"),
    "500 tensors too many": Fault(
        lambda p: p.prune(model=strange_tensors(f"h.{i}" for i in range(500))(p)),
        r"tensors h\.0, h\.1, h\.2 and 497 more not expected in a bloom model",
    ),
    "a tensor with escapes": Fault(
        lambda p: p.prune(model=strange_tensors(["\x1b[31mred\n\u202e"])(p)),
        r"tensor \\x1b\[31mred\\n\\u202e not expected",
    ),
    "a tensor whose name does not end": Fault(
        lambda p: p.prune(model=strange_tensors(["x" * 100_000])(p)), r"tensor x{1000,1900} … x*.{,60} model$"
    ),
    "10,000 fields": Fault(
        lambda p: p.evaluate(
            p.task(json.dumps({f"f{i}": 1 for i in range(10_000)} | {"label": 1}) + "\n"),
            "evaluation.languages=en",
        ),
        r"no field 'text'; there are f0, f1, .* and 9,989 more$",
    ),
    "a folder with a line break": Fault(
        lambda p: p.prune(model=shutil.copytree(p.model(n_head=0), p.folder / "a\n\x1b[1mb")),
        r"a\\n\\x1b\[1mb/config\.json: n_head is 0",
    ),
}  # fmt: skip
