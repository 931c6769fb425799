"""The JSON files of a run, each value of them replaced by others: refused by its place, or as good as the one before.

What passes is told by the kind of the value that stood there, not by the types that the readers go by.
"""

import json
import re

import numpy as np
import pytest

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison import compare_perplexity, read_run
from jaxprune.files import sealed
from jaxprune.html_report.files import read_files
from jaxprune.html_report.write import run_page
from jaxprune.runs.resume import begun_with
from jaxprune.sweep.run import read_sweep

SHA = "0" * 64
FIGURES = {
    "rows": 4,
    "accuracy": 0.75,
    "interval": [0.3, 0.95],
    "f1": 0.7,
    "rankc": {"corrected": 0.5, "official": 0.4},
}
REPORT = {
    "sparsity": {"overall": 0.3, "layers": [0.3, 0.3], "kernels": {"mlp/up/kernel": 0.3, "b": 0.3}},
    "tokens": {"translation": 8874},
    "seconds": {"prepare": 0.1, "total": 2},
    "peak_memory_bytes": {"host": 600_000_000},
    "digests": {"weights": SHA, "masks": SHA, "calibration": SHA},
    "environment": {"jax": "0.7.1", "processes": 1},
    "identity": {"code": SHA, "seed": 0, "pruning.sparsity": 0.3},
    "models": {"dense": SHA, "hf": SHA},
    "files": {"config.json": [3, SHA]},
}
METRICS = {
    "task": "xnli", "protocol": "paper", "labels": ["no", "yes"], "data": "xnli",
    "languages": {"en": FIGURES, "fr": FIGURES}, "worst": {"language": "fr", "accuracy": 0.75},
    "gap_to_english": {"fr": 0.0}, "mean": 0.75, "mean_non_english": 0.75,
    "model_sha256": SHA, "revision": "main", "dtype": "float32", "seed": 0, "seconds": 1.5,
}  # fmt: skip
CONFIG = {
    "model": "bloom",
    "calibration": {"source": "fr", "target": "en"},
    "pruning": {"criterion": "wanda", "sparsity": 0.3, "pattern": "unstructured"},
}
BEGUN = {"identity": {"code": SHA, "seed": 0}, "samples_per_device": 2}
TABLE = {"a.npz": [3, SHA], "b.npz": [4, SHA]}
SWEEP = {"config": {"seed": 0, "model": "bloom", "pruning.sparsity": 0.3}}
PERPLEXITY = {"languages": {"de": {"perplexity": 3.5, "tokens": 90, "windows": 1}}, "seconds": 2}
# Paths by their keys, whose values may be more than of the kind of the one that stands there.
ANY_SCALAR = re.compile(r"(environment|identity|config) .*")
NULL = re.compile(
    r"labels|protocol|data|revision|model_sha256|mean|mean_non_english|worst|gap_to_english|pruning sparsity"
    r"|languages \w+ rankc"
)
EMPTY = re.compile(
    r"tokens|seconds|peak_memory_bytes|environment|identity|files|languages( (en|fr))?( rankc)?|labels|gap_to_english"
    r"|pruning|calibration|config"
)
SIZE = r"seed|files config.json 0|[ab].npz 0"  # a size that is none is that of no file
NEGATIVE = re.compile(rf"gap_to_english fr|languages \w+ interval \d|{SIZE}")
HUGE = re.compile(SIZE)
NEEDED = re.compile(
    r"sparsity \w+|digests masks|models dense|worst \w+|config|languages de (perplexity|tokens)"
)
WRONG = (None, "text", -1, [], {}, float("inf"), 10**400, True, ...)


def paths_of(value, above=()):
    """Of every value in a value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*above, key)
        if isinstance(inner, dict | list):
            yield from paths_of(inner, (*above, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def replaced(value, path, wrong):
    """A copy with another value there, or none."""
    copy = json.loads(json.dumps(value))
    inner = at(copy, path[:-1])
    if wrong is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = wrong
    return copy


def passes(before, wrong, where):
    """Whether the other value is as good as the one before."""
    if ANY_SCALAR.fullmatch(where):
        return not isinstance(wrong, dict | list)
    if wrong is None:
        return NULL.fullmatch(where) is not None
    if isinstance(wrong, dict | list):
        return type(wrong) is type(before) and EMPTY.fullmatch(where) is not None
    if isinstance(wrong, str) or isinstance(before, str):
        return type(wrong) is type(before)
    if isinstance(wrong, bool) or isinstance(before, dict | list) or wrong == float("inf"):
        return False
    return (NEGATIVE if wrong == -1 else HUGE).fullmatch(where) is not None


def read_all(folder):
    """As a page of the run does."""
    run_page(read_files(folder), {})


def read_scored(folder):
    """As a page and a comparison do."""
    assert read_files(folder).metrics
    read_run(folder)


FILES = {
    "report.json": (REPORT, read_all),
    "config.json": (CONFIG, read_all),
    "xnli/metrics.json": (METRICS, read_scored),
    "perplexity/metrics.json": (PERPLEXITY, lambda folder: compare_perplexity(folder, folder)),
    "progress/run.json": (BEGUN, begun_with),
    "hf/files.json": (TABLE, lambda folder: sealed.table(folder / "hf")),
    "sweep.json": (SWEEP, lambda folder: read_sweep(folder / "sweep.json")),
}


@pytest.mark.parametrize("name", FILES)
def test_a_value_is_refused_by_its_place_or_as_good_as_another(name, tmp_path):
    sample, read = FILES[name]
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    if name == "config.json":
        (tmp_path / "report.json").write_text(json.dumps({"sparsity": REPORT["sparsity"]}))
    if name.startswith("xnli"):
        np.savez(
            file.parent / "fr.npz", scores=np.eye(2, dtype=np.float32), labels=np.array([0, 1])
        )
    tried = 0
    for path in paths_of(sample):
        where = " ".join(map(str, path))
        for wrong in WRONG:
            if wrong is ... and isinstance(path[-1], int):
                continue  # another one takes its place
            file.write_text(json.dumps(replaced(sample, path, wrong)))
            said = ""
            try:
                read(tmp_path)
            except InputError as error:
                said = str(error)
            good = (
                not NEEDED.fullmatch(where)
                if wrong is ...
                else passes(at(sample, path), wrong, where)
            )
            assert good == (not said), (where, wrong, said)
            if said:
                place = "".join(
                    r"\[\d\]" if isinstance(key, int) else rf"\.?.?{re.escape(key)}.?"
                    for key in path
                )
                assert re.match(
                    rf"{re.escape(str(file))}: {place}\S*: (missing|expected )", said
                ), said
                assert said.isprintable()
            tried += 1
    assert tried > 25
