"""Rows of the table of faults: files from outside that are no files, JSON that no reader expects, names that no
terminal should be sent."""

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import struct

from faults.fault import Fault, both
from faults.place import FAULTY_TASK, GOOD_ROW, WEIGHTS

DEEP = b"[" * 100_000
NOT_REGULAR = r"not a regular file|neither a regular file"


@contextlib.contextmanager
def deadline(seconds=20):
    """Ends what waits for a pipe, or reads a device without end."""

    def late(*_):
        raise AssertionError("late")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def replaced(place, file, kind):
    """A thing of another kind in the place of a file, or where there was none."""
    place.keep(deadline())
    file.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(file.parent)  # the address may have 108 bytes
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as one:
            one.bind(file.name)
        os.chdir(here)
    else:
        file.symlink_to(kind)
    return file


def in_model(kind, name, says=NOT_REGULAR):
    return Fault(
        lambda p: p.wanda("nano", model=both(f := p.model(), replaced(p, f / name, kind), f)), says
    )


def tokens(kind):
    return Fault(lambda p: p.on_tokens(replaced(p, p.folder / "tokens.npz", kind)), NOT_REGULAR)


def rows(kind):
    return Fault(
        lambda p: both(
            t := p.task(), replaced(p, p.folder / "rows" / "en.jsonl", kind),
            p.evaluate(t, "evaluation.languages=en"),
        ),
        r"en\.jsonl: not a regular file",
    )  # fmt: skip


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
    "weights: pipe": in_model("pipe", WEIGHTS),
    "config.json: pipe": in_model("pipe", "config.json"),
    "config.json: folder": in_model("folder", "config.json"),
    "config.json: /dev/zero": in_model("/dev/zero", "config.json"),
    "tokenizer.json: pipe": in_model("pipe", "tokenizer.json"),
    "generation_config.json: /dev/zero": in_model("/dev/zero", "generation_config.json"),
    "index.json: socket": Fault(
        lambda p: p.prune(
            model=both(
                f := p.model(), (f / WEIGHTS).unlink(), replaced(p, f / f"{WEIGHTS}.index.json", "socket"), f
            )
        ),
        NOT_REGULAR,
    ),
    "tokens: pipe": tokens("pipe"),
    "tokens: /dev/zero": tokens("/dev/zero"),
    "tokens: folder": tokens("folder"),
    "rows: pipe": rows("pipe"),
    "rows: /dev/full": rows("/dev/full"),
    "texts: pipe": Fault(
        lambda p: p.wanda(both(t := p.texts(en="a\n"), replaced(p, t / "fr.txt", "pipe"), t)),
        r"fr\.txt: not a regular file",
    ),
    "perplexity: /dev/zero": Fault(
        lambda p: both(
            t := p.texts(), replaced(p, t / "fr.txt", "/dev/zero"),
            p.evaluate("evaluation.tasks=", f"evaluation.perplexity={t}"),
        ),
        r"fr\.txt: not a regular file",
    ),
    "task: pipe": Fault(
        lambda p: p.evaluate(f"evaluation.tasks={replaced(p, p.folder / 'toy.toml', 'pipe')}"),
        r"toy\.toml: not a regular file",
    ),
    "lock of a run: pipe": Fault(
        lambda p: both(
            (f := p.workdir / "progress").mkdir(parents=True), replaced(p, f / "lock", "pipe"), p.prune()
        ),
        r"progress/lock: not a regular file",
    ),
    "report.json: pipe": Fault(
        lambda p: ["verify", both(r := p.whole_run(), replaced(p, r / "report.json", "pipe"), r)],
        r"report\.json: not a regular file",
    ),
    "metrics.json: socket": Fault(
        lambda p: both(r := p.runs(), replaced(p, r[1] / "xnli" / "metrics.json", "socket"), ["compare", *r]),
        r"b/xnli/metrics\.json: not a regular file",
    ),
    "label twice": line(
        r"en\.jsonl:2: duplicate key 'label'", '{"text": "a", "label": 1, "label": 0}\n'
    ),
    "config.json: key twice": broken(
        "config.json", b'{"model_type": "bloom", "n_head": 4, "n_head": 2}',
        r"config\.json: duplicate key 'n_head'",
    ),
    "index.json: key twice": Fault(
        lambda p: p.prune(
            model=both(
                f := p.model(), (f / WEIGHTS).unlink(),
                (f / f"{WEIGHTS}.index.json").write_text('{"weight_map": {}, "weight_map": {"a": "b"}}'), f,
            )
        ),
        r"index\.json: duplicate key 'weight_map'",
    ),
    "config.json: deep": broken("config.json", DEEP, r"config\.json: not JSON .*recursion"),
    "config.json: deep attribute": Fault(
        lambda p: p.prune(model=p.model(n_head=functools.reduce(lambda inner, _: {"a": inner}, range(300), 4))),
        r"config\.json: n_head is \{'a': .*, expected int",
    ),
    "config.json: dtype of weights that are not there": Fault(
        lambda p: [*p.prune(model=both(f := p.model(dtype={"a": 1}), (f / WEIGHTS).unlink(), f)), "--plan"],
        r"config\.json: dtype: got \{'a': 1\}; allowed: float32, float16, bfloat16",
    ),
    "tokenizer.json: deep": broken("tokenizer.json", DEEP, r"model: no usable tokenizer"),
    "index.json: deep": Fault(
        lambda p: p.prune(
            model=both(
                f := p.model(), (f / WEIGHTS).unlink(), (f / f"{WEIGHTS}.index.json").write_bytes(DEEP), f
            )
        ),
        r"index\.json: no valid JSON .*recursion",
    ),
    "row: deep": line(r"en\.jsonl:2: .*recursion", '{"text": "a", "label": ' + DEEP.decode()),
    "task: deep": Fault(lambda p: task_file(p, b"name = " + DEEP), r"toy\.toml: not TOML.*recursion"),
    "task: a number of 5,000 digits": Fault(
        lambda p: task_file(p, b"name = " + b"9" * 5000), r"toy\.toml: not TOML.*digits"
    ),
    "task: a number of 5,000 digits, hexadecimal": Fault(
        lambda p: task_file(p, FAULTY_TASK.replace('"toy"', "0x" + "f" * 5000).encode()),
        r"toy\.toml: name: got a number without end",
    ),
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
    "10,000 architectures": Fault(
        lambda p: p.prune(model=p.model(architectures=[f"a{i}" for i in range(10_000)])),
        r"architectures=\['a0', 'a1', .*\.\.\.\] is not a causal language model",
    ),
    "an architecture with escapes": Fault(
        lambda p: p.prune(model=p.model(architectures=["\x1b]0;x\x07\r\n", "\ud800"])),
        r"architectures=\['\\x1b\]0;x\\x07\\r\\n', '\\ud800'\]",
    ),
    "10,000 fields": Fault(
        lambda p: p.evaluate(
            p.task(json.dumps({f"f{i}": 1 for i in range(10_000)} | {"label": 1}) + "\n"),
            "evaluation.languages=en",
        ),
        r"no field 'text'; there are f0, f1, .* and 9,989 more$",
    ),
    "a label with escapes": line(
        r"label is '\\x1b\[2J\\ud800…'|label is '\\x1b\[2J\\ud800'", '{"text": "a", "label": "\\u001b[2J\\ud800"}\n'
    ),
    "a folder with a line break": Fault(
        lambda p: p.prune(model=shutil.copytree(p.model(n_head=0), p.folder / "a\n\x1b[1mb")),
        r"a\\n\\x1b\[1mb/config\.json: n_head is 0",
    ),
    "500 languages": Fault(
        lambda p: both(
            t := p.task(GOOD_ROW), [(p.folder / "rows" / f"{i}.csv").touch() for i in range(500)], p.evaluate(t)
        ),
        r"no language 'fr'; there are 0 1 10 .* and 489 more",
    ),
}  # fmt: skip
