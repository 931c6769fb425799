"""Whatever is wrong ends in one line that says what and where, and leaves nothing that passes for a result.

Each row of the tables in faults/ makes one thing wrong and gives the command line of a script. Exit code 2: bad input;
1: the environment.
"""

import contextlib
import re

import numpy as np
import pytest
from faults import inputs, models, numbers, outside, records, runs, stores, workdirs
from faults.place import Place
from jobs import on_tokens
from run_scripts import run_here

from jaxprune.nano import CHECKPOINTS
from jaxprune.pages.job import run_from_config

# What a refused run may leave: what it was asked for, layers to go on from, files under the name of unfinished ones.
# What could not be uploaded stays in the local copy of a workdir, which the line names.
NO_RESULTS = re.compile(
    r"(bucket/bucket/)?workdir/(config\.json|sweep\.json|progress/.*)|.*\.new(/.*)?|staged/.*"
)
# Said while a command goes on.
NOTE = re.compile(r"workdir: .*(; tries again|for a sign of life)")
BAR = re.compile(r".*\d+/\d+.*\|.*\|.*|.*\|.*\|.*<.*")

TABLES = (inputs, models, numbers, outside, records, runs, stores, workdirs)
FAULTS = {name: fault for table in TABLES for name, fault in table.ROWS.items()}
assert len(FAULTS) == sum(len(table.ROWS) for table in TABLES)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """The workdir of a model pruned on a few tokens, evaluated on one task as far as the files go."""
    folder = tmp_path_factory.mktemp("whole")
    np.savez(folder / "tokens.npz", input_ids=np.arange(64, dtype=np.int32).reshape(4, 16))
    run = folder / "run"
    run_from_config(on_tokens(CHECKPOINTS["bloom"], folder / "tokens.npz", output__hf=False), run)
    (run / "xnli").mkdir()
    scores = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    labels = np.array([0, 1, 2, 0], np.int32)
    np.savez(run / "xnli" / "en.npz", scores=scores, labels=labels, rows=np.arange(4))
    return run


@pytest.fixture
def place(tmp_path, whole_run, monkeypatch):
    with contextlib.ExitStack() as stack:
        yield Place(tmp_path, whole_run, monkeypatch, stack.enter_context)


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_an_exit_code_and_no_result(name, place, monkeypatch, capfd):
    fault = FAULTS[name]
    command = fault.command(place)
    before = files_of(place.folder)
    done = run_here(monkeypatch, capfd, *command)
    said = re.split(r"[\r\n]+", done.stderr)
    lines = [
        line for line in said if line.strip() and not (BAR.fullmatch(line) or NOTE.fullmatch(line))
    ]
    assert len(lines) == 1, done.stderr
    assert re.match(rf"error: .*({fault.says})", lines[0]), lines[0]
    assert done.returncode == fault.code
    left = {file for file in files_of(place.folder) - before if not NO_RESULTS.fullmatch(file)}
    assert not left
    assert not place.marker.exists()
