"""Whatever is wrong ends in one line that says what and where, and leaves nothing that passes for a result.

Each row of FAULTS makes one thing wrong and gives the command line of a script. Exit code 2: bad input; 1: the
environment.
"""

import contextlib
import errno
import os
import re
import resource
import shutil
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from fault_place import GOOD_ROW, ROOT, WEIGHTS, Place, flip, halve, npy, zipped
from run_scripts import run_alone, run_here

from jaxprune.config.validate import base_config, validate
from jaxprune.hf import tensors
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs.pipeline import prune_from_config
from jaxprune.runs.resume import FinishedLayers

# Nothing here needs as much; what a bomb claims is more.
MEMORY = 256 << 20
# What a refused run may leave: what it was asked for, layers to go on from, files under the name of unfinished ones.
NO_RESULTS = re.compile(r"workdir/(config\.json|sweep\.json|progress/.*)|.*\.new(/.*)?")
BAR = re.compile(r".*\d+/\d+.*\|.*\|.*|.*\|.*\|.*<.*")


class Fault(NamedTuple):
    """A way to go wrong: makes it and gives the command, what the line says, the exit code."""

    command: Callable[[Place], list]
    says: str
    code: int = 2


def full_disk(place, owner, name):
    """Lets a function fail as on a full disk."""

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place.patch.setattr(owner, name, fail)


def little_space(place):
    """What the system says of a full disk."""
    usage = shutil.disk_usage(place.folder)._replace(free=1000)
    place.patch.setattr(shutil, "disk_usage", lambda path: usage)


@contextlib.contextmanager
def file_size_limit(nbytes):
    """The system refuses to write larger files, in whatever library."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def limited(place, nbytes):
    place.keep(file_size_limit(nbytes))


def both(*steps):
    """The command of the last step, after the others."""
    return steps[-1]


def config(group, value, says):
    return Fault(lambda p: p.prune(f"{group}={value}"), says)


TWO_LINES = "the dog\nthe cat\n"
BILLIONS = (2**33, 2**6)
ZEROS = b"\0" * (1 << 20)
IDS = np.ones((4, 8), np.int32)

CONFIG = {
    "sparsity 1": config("pruning.sparsity", 1, r"pruning\.sparsity: got 1\.0; .*0 <= s < 1"),
    "sparsity -0.1": config("pruning.sparsity", -0.1, r"pruning\.sparsity: got -0\.1"),
    "sparsity abc": config("pruning.sparsity", "abc", r"pruning\.sparsity: got 'abc'"),
    "sparsity nan": config("pruning.sparsity", "nan", r"pruning\.sparsity: got nan"),
    "pattern 3:2": config("pruning.pattern", "3:2", r"pruning\.pattern: got '3:2'; .*N:M"),
    "pattern 2:a": config("pruning.pattern", "2:a", r"pruning\.pattern: got '2:a'"),
    "criterion": config("pruning.criterion", "wandb", r"criterion: got 'wandb'.*mean wanda\?"),
    "propagate": config("pruning.propagate", "blok", r"propagate: got 'blok'.*mean block\?"),
    "kind": config("calibration.kind", "tokns", r"kind: got 'tokns'.*mean tokens\?"),
    "compat": config("compat", "paper", r"compat: got 'paper'; allowed: corrected, official"),
    "dtype": config("dtype", "float16", r"dtype: got 'float16'.*float32, bfloat16"),
    "seed": config("seed", -1, r"seed: got -1; allowed: an integer of at least 0"),
    "seed 1.5": config("seed", 1.5, r"seed: got '1\.5'; allowed: an integer"),
    "shots 0": config("calibration.shots", 0, r"calibration\.shots: got 0"),
    "output.hf": config("output.hf", "maybe", r"output\.hf: got 'maybe'; allowed: true or false"),
    "unknown field": config("pruning.sparsty", 0.3, r"sparsty: no such .*mean pruning\.sparsity\?"),
    "unknown group": config("prunning.sparsity", 0.3, r"did you mean pruning\.sparsity\?"),
    "a group as a field": config("pruning", 0.3, r"pruning: no such field; its fields are"),
    "mesh.data": config("mesh.data", 4096, r"mesh\.data=4096, mesh\.model=1: expected .* 1 to \d"),
    "mesh.model": config("mesh.model", 4096, r"mesh\.data=-1, mesh\.model=4096: expected"),
    "mesh.model -2": config("mesh.model", -2, r"mesh\.model: got -2; allowed: a number of devices"),
    "2:3 on a width of 128": config("pruning.pattern", "2:3", r"pattern: .*kernel.* multiple of 3"),
    "sparsity against pattern": Fault(
        lambda p: p.prune("pruning.pattern=2:4", "pruning.sparsity=0.3"),
        r"pruning\.sparsity: got 0\.3; allowed: 0\.5",
    ),
    "refined without code": Fault(
        lambda p: p.wanda(
            "nano", "pruning.criterion=refined", "calibration.kind=translation_vs_code"
        ),
        r"calibration\.code: not set",
    ),
    "refined on tokens without code": Fault(
        lambda p: p.on_tokens(p.npz(input_ids=IDS), "pruning.criterion=refined"),
        r"tokens\.npz holds input_ids; .*code_ids",
    ),
    "unknown flag": Fault(lambda p: [*p.prune(), "--wrkdir=x"], r"wrkdir"),
    "an argument too many": Fault(lambda p: [*p.prune(), "extra"], r"extra: not a flag"),
    "no workdir": Fault(lambda p: p.prune()[:2], r"--workdir: missing"),
    "no config": Fault(lambda p: ["prune", f"--workdir={p.workdir}"], r"--config: missing"),
    "config of no file": Fault(
        lambda p: ["prune", f"--workdir={p.workdir}", "--config=configs/blom.py"],
        r"--config: no file 'configs/blom\.py'",
    ),
    "config argument": Fault(
        lambda p: ["prune", f"--workdir={p.workdir}", f"--config={ROOT}/configs/nano.py:blom"],
        r"config argument: got 'blom'.*did you mean bloom\?",
    ),
}  # fmt: skip


def broken(says, make):
    """A model that cannot be opened."""
    return Fault(lambda p: p.prune(model=make(p)), says)


MODEL = {
    "no such model": broken(r"no/such/model: ", lambda p: "no/such/model"),
    "no network": Fault(
        lambda p: p.prune(model="jaxprune-tests/is-in-no-cache"),
        r"jaxprune-tests/is-in-no-cache: .*hub cannot be reached", 1,
    ),
    "model is a file": broken(r"file\.bin: is a file", lambda p: p.file(b"x", "file.bin")),
    "empty folder": broken(r"workdir: no config\.json", lambda p: both(p.workdir.mkdir(), p.workdir)),
    "config.json no JSON": broken(
        r"model/config\.json: not JSON", lambda p: p.with_file("config.json", b"{")
    ),
    "config.json a list": broken(
        r"model/config\.json: expected a JSON object", lambda p: p.with_file("config.json", b"[1]")
    ),
    "config.json not UTF-8": broken(
        r"model/config\.json: not JSON", lambda p: p.with_file("config.json", b'{"a": "\xff"}')
    ),
    "config.json only a BOM": broken(
        r"model/config\.json: not JSON", lambda p: p.with_file("config.json", b"\xef\xbb\xbf")
    ),
    "config.json of numbers in 5,000 digits": broken(
        r"model/config\.json: ",
        lambda p: p.with_file("config.json", b'{"model_type": "bloom", "n_head": 1%s}' % (b"0" * 5000)),
    ),
    "missing field": broken(r"config\.json: n_head.* missing", lambda p: p.model(n_head=None)),
    "unknown model_type": broken(r"model_type.*'blom'", lambda p: p.model(model_type="blom")),
    "text as a size": broken(r"config\.json: n_head is '4'", lambda p: p.model(n_head="4")),
    "no heads": broken(r"config\.json: n_head is 0", lambda p: p.model(n_head=0)),
    "heads that do not divide": broken(r"config\.json: .*5", lambda p: p.model(n_head=5)),
    "unknown attribute": broken(r"config\.json: .*wobble", lambda p: p.model(wobble=1)),
    "more layers than there are": broken(r"model: .*no tensor|missing", lambda p: p.model(n_layer=9)),
    "fewer layers than there are": broken(r"h\.1\.|unexpected", lambda p: p.model(n_layer=1)),
    "another vocabulary": broken(r"word_embeddings.*shape", lambda p: p.model(vocab_size=77)),
    "a billion layers": broken(r"model: .*1000000000 layers", lambda p: p.model(n_layer=10**9)),
    "absurd width": broken(r"config\.json|shape", lambda p: p.model(hidden_size=2**50)),
    "absurd vocabulary": broken(
        r"config\.json: vocab_size is 1180591620717411303424", lambda p: p.model(vocab_size=2**70)
    ),
    "no weights": broken(
        r"model: no weights", lambda p: both((f := p.model()) and (f / WEIGHTS).unlink(), f)
    ),
    "weights of 0 bytes": broken(r"model\.safetensors: .*0 bytes", lambda p: p.cut(0)),
    "header cut": broken(r"model\.safetensors: truncated", lambda p: p.cut(100)),
    "tensors cut": broken(r"model\.safetensors: truncated.*is cut", lambda p: p.cut(100_000)),
    "header length 2**60": broken(
        r"model\.safetensors: .*promise a header of 1152921504606846976",
        lambda p: p.with_file(WEIGHTS, (2**60).to_bytes(8, "little") + b"{}"),
    ),
    "bit of the header's length": broken(r"model\.safetensors: ", lambda p: p.flipped(0)),
    "bit of the header": broken(r"model\.safetensors: .*header", lambda p: p.flipped(8)),
    "negative shape": broken(r"tensor '.*': its shape", lambda p: p.with_entry(shape=[-1, 4])),
    "huge shape": broken(r"tensor '.*': absurd shape", lambda p: p.with_entry(shape=[2**61, 9])),
    "shape of another size": broken(r"tensor '.*': data_offsets", lambda p: p.with_entry(shape=[3])),
    "unknown tensor dtype": broken(r"tensor '.*': .*dtype 'F7'", lambda p: p.with_entry(dtype="F7")),
    "beyond the file": broken(
        r"tensor '.*'", lambda p: p.with_entry(shape=[2**20], data_offsets=[2**30, 2**30 + 2**22])
    ),
    "overlap": broken(
        r"without gap or overlap|data_offsets",
        lambda p: p.with_entry(shape=[1], data_offsets=[4, 8]),
    ),
    "Git LFS pointer": broken(
        r"model\.safetensors: a Git LFS pointer",
        lambda p: p.with_file(WEIGHTS, b"version https://git-lfs.github.com/spec/v1\noid"),
    ),
    "index at a missing file": broken(
        r"model-1\.safetensors is missing", lambda p: p.with_index("model-1.safetensors")
    ),
    "index out of the folder": broken(
        r"index\.json: places tensor .* in '\.\./outside", lambda p: p.with_index("../outside.safetensors")
    ),
    "link out of the folder": broken(r"model\.safetensors leads out of its", lambda p: p.with_link()),
    "pickle that calls os.system": broken(
        r"pytorch_model\.bin.*names '(posix|nt)\.system'", lambda p: p.with_attack()
    ),
    "NaN weights": broken(r"layer 2, mlp/up/kernel: holds NaN", lambda p: p.with_values(np.nan)),
    "infinite weights": broken(r"layer 2, mlp/up/kernel: holds NaN", lambda p: p.with_values(np.inf)),
}  # fmt: skip


def text(says, make, *fields):
    """Calibration text that does not do."""
    return Fault(lambda p: p.wanda(make(p), *fields), says)


def token_file(says, make, *fields):
    return Fault(lambda p: p.on_tokens(make(p), *fields), says)


CALIBRATION = {
    "no such texts": text(r"calibration\.data: no folder '.*nothing'", lambda p: p.folder / "nothing"),
    "texts of nothing": text(r"calibration\.data: .*texts holds neither", lambda p: p.texts()),
    "texts of no network": Fault(
        lambda p: p.wanda("jaxprune-tests/is-in-no-cache"), r"is-in-no-cache: .*reached", 1
    ),
    "empty file": text(r"texts: fr has 2 lines and en has 0", lambda p: p.texts(fr=TWO_LINES, en="")),
    "only a BOM": text(r"0 lines", lambda p: p.texts(fr="\ufeff", en="\ufeff")),
    "misaligned": text(r"texts: fr has 2 lines and en has 1", lambda p: p.texts(fr=TWO_LINES, en="a\n")),
    "empty line": text(r"en\.txt:2: empty line", lambda p: p.texts(fr=TWO_LINES, en="a\n\n")),
    "not UTF-8": text(r"en\.txt: byte 2 is not", lambda p: p.texts(fr=TWO_LINES, en=b"a \xff\nb\n")),
    "a language that is not there": text(
        r"texts: no language 'sw'; there are en fr",
        lambda p: p.texts(fr=TWO_LINES, en=TWO_LINES), "calibration.source=sw",
    ),
    "a language of no name": text(r"source: got 'french'", lambda p: "nano", "calibration.source=french"),
    "source is target": text(r"target: got 'fr', the source", lambda p: "nano", "calibration.target=fr"),
    "too few sentences": text(
        r"texts: 2 lines make 2 samples of 1 shots, not 3",
        lambda p: p.texts(fr=TWO_LINES, en=TWO_LINES), "calibration.samples=3",
    ),
    "no code": Fault(
        lambda p: p.wanda(
            "nano", f"calibration.code={p.texts()}",
            "pruning.criterion=refined", "calibration.kind=translation_vs_code",
        ),
        r"texts: holds 0 files of Python",
    ),
    "no tokenizer": Fault(
        lambda p: p.wanda("nano", model=p.without_tokenizer()), r"model: no tokenizer"
    ),
    "tokenizer no JSON": Fault(
        lambda p: p.wanda("nano", model=p.with_file("tokenizer.json", b"{")),
        r"model: no usable tokenizer",
    ),
    "tokenizer of too many ids": Fault(
        lambda p: p.wanda("nano", model=p.with_large_ids()),
        r"model: the tokenizer has id \d+, config\.json has vocab_size",
    ),
    "longer than the positions": Fault(
        lambda p: p.on_tokens(p.npz(input_ids=np.ones((2, 4096), np.int32)), model=CHECKPOINTS["gpt2"]),
        r"samples of 4096 tokens: the model has \d+ positions",
    ),
    "ids beyond the vocabulary": token_file(r"token id 99999; ", lambda p: p.npz(input_ids=IDS * 99999)),
    "negative ids": token_file(r"tokens\.npz: input_ids: .*-1", lambda p: p.npz(input_ids=-IDS)),
    "ids that are floats": token_file(r"input_ids: got float64", lambda p: p.npz(input_ids=IDS * 0.5)),
    "ids of no rows": token_file(r"input_ids: got int32 of shape", lambda p: p.npz(input_ids=IDS[:0])),
    "mask of another shape": token_file(
        r"tokens\.npz: attention_mask: shape", lambda p: p.npz(input_ids=IDS, attention_mask=IDS[:1])
    ),
    "unknown arrays": token_file(r"tokens\.npz: holds ids", lambda p: p.npz(ids=IDS)),
    "no such tokens": token_file(r"calibration\.data: .*none\.npz", lambda p: p.folder / "none.npz"),
    "npz of objects": token_file(r"tokens\.npz: ", lambda p: p.npz_attack()),
    "npz cut": token_file(r"tokens\.npz", lambda p: both(halve(f := p.npz(input_ids=IDS)), f)),
    "npz of text": token_file(r"tokens\.npz", lambda p: p.file(b"text")),
    "npz that claims 2 TiB": token_file(
        r"tokens\.npz: ", lambda p: p.file(zipped("input_ids.npy", npy(BILLIONS)))
    ),
    "npz of 512 MiB of zeros": token_file(
        r"tokens\.npz: ",
        lambda p: p.file(zipped("input_ids.npy", npy((2**19, 256), data=b""), *[ZEROS] * 512)),
    ),
    "npz with a negative shape": token_file(
        r"tokens\.npz: ", lambda p: p.file(zipped("input_ids.npy", npy((-4, 4))))
    ),
}  # fmt: skip

WORKDIR = {
    "workdir is a file": Fault(
        lambda p: both(p.workdir.write_text(""), p.prune()), r"--workdir: .*workdir is a file"
    ),
    "workdir below a file": Fault(
        lambda p: p.prune(workdir=p.file(b"", "file") / "below"), r"file/below|file.*directory", 1
    ),
    "workdir that the system does not make": Fault(
        lambda p: p.prune(workdir="/proc/jaxprune"), r"/proc/jaxprune", 1
    ),
    "the model is what the run replaces": Fault(
        lambda p: p.prune(model=shutil.copytree(p.model(), p.workdir / "hf")),
        r"--workdir: .*workdir holds the model itself",
    ),
    "two runs in a workdir": Fault(
        lambda p: both(p.keep(FinishedLayers(p.workdir, {"a": 1}, 2)), p.prune()),
        r"--workdir: another run is writing to .*workdir",
    ),
    "an unfinished run of another command": Fault(
        lambda p: both(
            (p.workdir / "progress").mkdir(parents=True),
            (p.workdir / "progress" / "run.json").write_text('{"identity": {"code": "other"}}'),
            p.prune(),
        ),
        r"--workdir: .*workdir holds an unfinished run with ",
    ),
    "workdir is the model": Fault(
        lambda p: p.prune(model=(f := p.model()), workdir=f), r"--workdir: .*model is the model itself"
    ),
    "full disk at a shard": Fault(
        lambda p: both(full_disk(p, tensors.ShardWriter, "write"), p.prune()), r"No space left.*workdir", 1
    ),
    "full disk at config.json": Fault(
        lambda p: both(full_disk(p, os, "replace"), p.prune()), r"No space left.*workdir", 1
    ),
    "files that grow too large, in shards": Fault(
        lambda p: both(limited(p, 500_000), p.prune()), r"File too large.*workdir", 1
    ),
    "too little space for the checkpoint": Fault(
        lambda p: both(little_space(p), p.prune("output.hf=false")),
        r"No space left on device, [\d,]+ bytes needed and 1,000 free: '.*workdir/progress/checkpoint'", 1,
    ),
    "full disk at scores": Fault(
        lambda p: both(full_disk(p, np, "savez"), p.evaluate(p.task(GOOD_ROW), "evaluation.languages=en")),
        r"No space left", 1,
    ),
}  # fmt: skip


def rows(says, *lines, fields=()):
    return Fault(lambda p: p.evaluate(p.task(*lines), "evaluation.languages=en", *fields), says)


EVALUATION = {
    "unknown task": Fault(
        lambda p: p.evaluate("evaluation.tasks=xnly"), r"task: got 'xnly'.*did you mean xnli\?"
    ),
    "no task": Fault(lambda p: p.evaluate("evaluation.tasks="), r"evaluation\.tasks: got ''"),
    "task twice": Fault(
        lambda p: p.evaluate("evaluation.tasks=nano_nli,nano_nli"), r"'nano_nli' is there twice"
    ),
    "task of no TOML": Fault(
        lambda p: p.evaluate(f"evaluation.tasks={p.file(b'name =', 'bad.toml')}"), r"bad\.toml: "
    ),
    "broken row": rows(r"en\.jsonl:2: .*JSON object", GOOD_ROW, "{\n"),
    "row that is no object": rows(r"en\.jsonl:1: .*JSON object", "[1]\n"),
    "row not UTF-8": rows(r"en\.jsonl:2: byte \d+ is not UTF-8", GOOD_ROW, b"\xff\n"),
    "empty label": rows(r"en\.jsonl:1: label label is empty", '{"text": "a", "label": ""}\n'),
    "unknown label": rows(r"en\.jsonl:1: label label is 7", '{"text": "a", "label": 7}\n'),
    "empty text": rows(r"en\.jsonl:1: text is empty", '{"text": " ", "label": 1}\n'),
    "missing text": rows(r"en\.jsonl:1: no field 'text'", '{"label": 1}\n'),
    "no rows at all": rows(r"rows: language 'en' has no rows"),
    "only a BOM in rows": rows(r"rows: language 'en' has no rows", "\ufeff"),
    "missing language": Fault(
        lambda p: p.evaluate(p.task(GOOD_ROW)), r"rows: no language 'fr'; there are en"
    ),
    "language of no task": Fault(
        lambda p: p.evaluate("evaluation.tasks=nano_nli", "evaluation.languages=zh"), r"'zh'"
    ),
    "rows 0": rows(r"evaluation\.rows: got 0", GOOD_ROW, fields=["evaluation.rows=0"]),
    "options beyond the positions": Fault(
        lambda p: p.evaluate(
            p.task('{"text": "%s", "label": 1}\n' % ("the dog " * 3000)), "evaluation.languages=en",
            model=CHECKPOINTS["gpt2"],
        ),
        r"toy en.*: row 0 option 0 has \d+ tokens; allowed: \d+",
    ),
    "model of NaN": Fault(
        lambda p: p.evaluate(p.task(GOOD_ROW), "evaluation.languages=en", model=p.with_values(np.nan)),
        r"en: row 0 has the score nan|NaN",
    ),
    "protocol": rows(r"protocol: got 'harness'", GOOD_ROW, fields=["evaluation.protocol=harness"]),
    "perplexity of no texts": Fault(
        lambda p: p.evaluate("evaluation.tasks=", f"evaluation.perplexity={p.texts()}"),
        r"evaluation\.perplexity: got .*texts",
    ),
    "perplexity of an empty text": Fault(
        lambda p: p.evaluate("evaluation.tasks=", f"evaluation.perplexity={p.texts(en='')}"),
        r"perplexity en: a text of \d tokens",
    ),
    "workdir of other files": Fault(
        lambda p: both(
            (p.workdir / "toy").mkdir(parents=True),
            (p.workdir / "toy" / "thesis.tex").write_text(""),
            p.evaluate(p.task(GOOD_ROW), "evaluation.languages=en"),
        ),
        r"--workdir: .*thesis\.tex is there",
    ),
}  # fmt: skip


def npz_in_run(place, content):
    a, b = place.runs()
    (b / "xnli" / "en.npz").write_bytes(content)
    return ["compare", a, b]


def two_masked(place, damage):
    return place.whole_run("a"), place.damaged_run(damage, "b")


OTHERS = {
    "compare: no argument": Fault(lambda p: ["compare"], r"RUN_A, RUN_B; usage: compare\.py"),
    "compare: no such run": Fault(
        lambda p: ["compare", p.runs()[0], p.folder / "c"], r"/c: no such folder"
    ),
    "compare: not evaluated": Fault(
        lambda p: ["compare", p.runs()[0], p.texts()], r"texts: not evaluated; expected"
    ),
    "compare: npz cut": Fault(
        lambda p: npz_in_run(p, zipped("scores.npy", npy((4, 3)))[:-30]), r"b/xnli/en\.npz: damaged"
    ),
    "compare: npz of objects": Fault(
        lambda p: npz_in_run(p, p.npz_attack().read_bytes()), r"b/xnli/en\.npz: damaged"
    ),
    "compare: npz that claims 2 TiB": Fault(
        lambda p: npz_in_run(p, zipped("scores.npy", npy(BILLIONS, "<f4"))), r"b/xnli/en\.npz: "
    ),
    "compare: metrics no JSON": Fault(
        lambda p: both(
            (r := p.runs()), (r[0] / "xnli" / "metrics.json").write_text("{"), ["compare", *r]
        ),
        r"a/xnli/metrics\.json: broken",
    ),
    "compare: checkpoint cut": Fault(
        lambda p: ["compare", *both(*(r := two_masked(p, halve)), r)], r"b/checkpoint/masks/.*: damaged"
    ),
    "compare: bit of the checkpoint": Fault(
        lambda p: ["compare", *both(*(r := two_masked(p, flip)), r)], r"b/checkpoint/masks/.*: damaged"
    ),
    "compare: out is a file": Fault(
        lambda p: ["compare", *p.runs(), "--out", p.file(b"", "file")], r"--out: .*is a file"
    ),
    "compare: full disk": Fault(
        lambda p: both(full_disk(p, os, "replace"), ["compare", *p.runs()]),
        r"No space left", 1,
    ),
    "analyze: top 0": Fault(
        lambda p: p.script("analyze", "analysis.top=0"), r"analysis\.top: got 0\.0; .*0 < s <= 1"
    ),
    "analyze: top 2": Fault(
        lambda p: p.script("analyze", "analysis.top=2"), r"analysis\.top: got 2\.0"
    ),
    "analyze: languages": Fault(
        lambda p: p.script("analyze", "analysis.languages=fr,klingon"), r"languages: got 'fr,klingon'"
    ),
    "analyze: one run": Fault(
        lambda p: p.script("analyze", "calibration.data=nano", f"analysis.masks={p.whole_run()}"),
        r"analysis\.masks: one run",
    ),
    "analyze: checkpoint cut": Fault(
        lambda p: p.script(
            "analyze", "calibration.data=nano",
            f"analysis.masks={','.join(map(str, two_masked(p, halve)))}",
        ),
        r"b/checkpoint/masks/.*: damaged",
    ),
    "analyze: bit of the checkpoint": Fault(
        lambda p: p.script(
            "analyze", "calibration.data=nano",
            f"analysis.masks={','.join(map(str, two_masked(p, flip)))}",
        ),
        r"b/checkpoint/masks/.*: damaged",
    ),
    "report: no such run": Fault(lambda p: ["report", p.workdir], r"workdir: no such folder"),
    "report: nothing in it": Fault(lambda p: ["report", p.texts()], r"texts: nothing to report"),
    "report: out is a folder": Fault(
        lambda p: ["report", p.runs()[0], "--out", p.texts()], r"nothing to report|texts: a folder"
    ),
    "report: statistics cut": Fault(
        lambda p: both(
            (r := p.whole_run()),
            [halve(file) for file in (r / "stats").rglob("*") if file.is_file() and file.stat().st_size > 500],
            ["report", r],
        ),
        r"run/stats/.*: (damaged|broken)",
    ),
    "verify: no report": Fault(lambda p: ["verify", p.texts()], r"texts: no complete pruning run"),
    "verify: report no JSON": Fault(
        lambda p: both((r := p.whole_run()), (r / "report.json").write_text("{"), ["verify", r]),
        r"run/report\.json: broken",
    ),
    "sweep: sparsities": Fault(
        lambda p: p.script("sweep", "sweep.sparsities=0.3,1.5"), r"sparsities: got '0\.3,1\.5'"
    ),
    "sweep: sparsity twice": Fault(
        lambda p: p.script("sweep", "sweep.sparsities=0.3,.3"), r"sparsities: got '0\.3,\.3'"
    ),
    "sweep: calibrations": Fault(
        lambda p: p.script("sweep", "sweep.calibrations=dense,bogus"), r"calibrations: got 'dense,bogus'"
    ),
    "sweep: of another model": Fault(
        lambda p: both(
            p.workdir.mkdir(), (p.workdir / "sweep.json").write_text('{"config": {"model": "x"}}'),
            p.script(
                "sweep", "calibration.data=nano", "evaluation.tasks=nano_nli",
                "sweep.calibrations=dense,random",
            ),
        ),
        r"model: got .*bloom.*holds a sweep with 'x'",
    ),
}  # fmt: skip

FAULTS = {**CONFIG, **MODEL, **CALIBRATION, **WORKDIR, **EVALUATION, **OTHERS}
# Run as users run it: no other test runs scripts/analyze.py in a process of its own.
REAL = "analyze: bit of the checkpoint"


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """The workdir of a model pruned on a few tokens, evaluated on one task as far as the files go."""
    folder = tmp_path_factory.mktemp("whole")
    np.savez(folder / "tokens.npz", input_ids=np.arange(64, dtype=np.int32).reshape(4, 16))
    wanted = base_config()
    wanted.model = CHECKPOINTS["bloom"]
    wanted.calibration.kind, wanted.calibration.data = "tokens", str(folder / "tokens.npz")
    wanted.output.hf = False
    run = folder / "run"
    prune_from_config(validate(wanted), run)
    (run / "xnli").mkdir()
    scores = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    np.savez(run / "xnli" / "en.npz", scores=scores, labels=np.array([0, 1, 2, 0], np.int32))
    return run


@pytest.fixture
def place(tmp_path, whole_run, monkeypatch):
    with contextlib.ExitStack() as stack:
        yield Place(tmp_path, whole_run, monkeypatch, stack.enter_context)


@contextlib.contextmanager
def memory_limit():
    """Fails where more than MEMORY is taken at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_an_exit_code_and_no_result(name, place, monkeypatch, capfd):
    fault = FAULTS[name]
    command = fault.command(place)
    before = files_of(place.folder)
    if name == REAL:
        done = run_alone(*command)
    else:
        with memory_limit() if "npz" in name else contextlib.nullcontext():
            done = run_here(monkeypatch, capfd, *command)
    said = re.split(r"[\r\n]+", done.stderr)
    lines = [line for line in said if line.strip() and not BAR.fullmatch(line)]
    assert len(lines) == 1, done.stderr
    assert re.match(rf"error: .*({fault.says})", lines[0]), lines[0]
    assert done.returncode == fault.code
    left = {file for file in files_of(place.folder) - before if not NO_RESULTS.fullmatch(file)}
    assert not left
    assert not place.marker.exists()
