"""The JSON files of a run, each value of them replaced by others: refused by its place, or as good as the one before.

What passes is told by the kind of the value that stood there, not by the types that the readers go by.
"""

import itertools
import json
import re

import pytest
from run_json import (
    BEGUN,
    CONFIG,
    EVALUATION,
    REPORT,
    SWEEP,
    TABLE,
    at,
    paths_of,
    replaced,
)

from jaxprune.base.errors import InputError
from jaxprune.base.files import sealed
from jaxprune.base.workdir import read_score_origin
from jaxprune.runs.pages.files import read_files
from jaxprune.runs.pages.write import run_page
from jaxprune.runs.run import read_record
from jaxprune.sweeps.sweep_json import read_sweep

# Paths by their keys, whose values may be more than of the kind of the one that stands there.
ANY_SCALAR = re.compile(r"(environment|identity|(sweep )?config) .*")
DIGEST = re.compile(r"(sweep )?(digests|models) .*|model_sha256")
# Of another kind than text these are refused by their place, of text by the rule of the field.
RULED = re.compile(r"calibration (kind|source|target)|pruning (criterion|pattern|allocation)")
NULL = re.compile(r"pruning sparsity|model_sha256")
EMPTY = re.compile(
    r"tokens|seconds|weight_bytes|peak_memory_bytes|environment|identity|files"
    r"|languages|pruning|calibration|config"
    r"|origin base_model|origin language|sweep digests"
)
SIZE = r"seed|files config.json 0|[ab].npz 0"  # a size that is none is that of no file
HUGE = NEGATIVE = re.compile(SIZE)
NEEDED = re.compile(
    r"sparsity \w+|compilation \w+|digests masks|models dense|origin name|sweep (config|digests)"
    r"|sweep config sweep\.grid"
    r"|parameters \w+"
)
WRONG = (None, "text", -1, [], {}, float("inf"), 10**400, True, ...)


def passes(before, wrong, where):
    """Whether the other value is as good as the one before."""
    if wrong == float("inf"):  # Python writes it; it is no JSON
        return False
    if ANY_SCALAR.fullmatch(where):
        return not isinstance(wrong, dict | list)
    if wrong is None:
        return NULL.fullmatch(where) is not None
    if isinstance(wrong, dict | list):
        return type(wrong) is type(before) and EMPTY.fullmatch(where) is not None
    if DIGEST.fullmatch(where):
        return False
    if isinstance(wrong, str) or isinstance(before, str):
        return type(wrong) is type(before) and not RULED.fullmatch(where)
    if isinstance(wrong, bool) or isinstance(before, dict | list):
        return False
    return (NEGATIVE if wrong == -1 else HUGE).fullmatch(where) is not None


def read_all(folder):
    """As a page of the run does."""
    run_page(read_files(folder), {})


def fault(path, wrong):
    """What msgspec says of it: keys of a dict of any keys are `...`."""
    if wrong == float("inf"):
        return "not JSON: JSON is malformed: invalid character"
    if (path[-1], wrong) in (("sweep.grid", ...), ("config", {})):
        return "a sweep of an earlier version, without sweep.grid; expected another --workdir"
    keys = (rf"\[{k}\]" if isinstance(k, int) else rf"(\.{k}|\[\.\.\.\])" for k in path)
    *above, place = itertools.accumulate(keys, initial=r"\$")
    if wrong is ...:
        return f"Object missing required field `{path[-1]}`( - at `{above[-1]}`)?"
    return f"(Expected|Object missing|Integer value out|Number out) .* - at `{place}[^`]*`"


FILES = {
    "report.json": (REPORT, read_all),
    "config.json": (CONFIG, read_all),
    "xnli/evaluation.json": (EVALUATION, lambda folder: read_score_origin(folder / "xnli")),
    "progress/run.json": (BEGUN, lambda folder: read_record(folder / "progress")),
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
    tried = 0
    for path in paths_of(sample):
        where = " ".join([*["sweep"] * (name == "sweep.json"), *map(str, path)])
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
            if said and isinstance(wrong, str) and RULED.fullmatch(where):
                assert said.startswith(f"{file}: {'.'.join(path)}: got 'text'")
            elif said:
                assert re.match(f"{re.escape(str(file))}: {fault(path, wrong)}", said), said
            assert not said or said.isprintable()
            tried += 1
    assert tried > 25
