"""A card takes another one's place: the run stays whole, whatever ends the process, and nothing of others is lost."""

import contextlib
import itertools
import json
import os
import shutil
from pathlib import Path

import pytest
from kills import Killed, killed_after

from jaxprune.config.validate import base_config, validate
from jaxprune.files import read_json, sealed
from jaxprune.ledger.workdir import check_scored_model, read_report
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs.pipeline import prune_from_config
from jaxprune.runs.recard import replace_card
from jaxprune.runs.verify import verify


def job():
    config = base_config()
    config.model = str(CHECKPOINTS["bloom"])
    config.pruning.criterion = "magnitude"
    return validate(config)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("finished") / "run"
    prune_from_config(job(), workdir)
    return workdir


@pytest.fixture
def run(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "run"))


def recard(run, text):
    """As scripts/report.py does."""
    check_scored_model(run)
    return replace_card(run, read_report(run), text)


def card(run):
    return (run / "hf" / "README.md").read_text()


def test_a_run_with_another_card_is_the_same_whole_run(run, capsys):
    before = read_json(run / "report.json")
    files = {file for file in run.rglob("*") if file.is_file()}
    for text in ("new é", "new é", "newer"):
        assert recard(run, text) is None
        assert card(run) == text
        assert verify(run, progress=False) == []
    assert {file for file in run.rglob("*") if file.is_file()} == files
    after = read_json(run / "report.json")
    differ = {name for name in after if after[name] != before.get(name)}
    assert differ == {"files", "card", "sha256"}
    prune_from_config(job(), run)  # nothing is made anew
    assert "run is complete" in capsys.readouterr().out
    assert card(run) == "newer"
    prune_from_config(job(), run, overwrite=True)
    assert card(run).startswith("---\n")
    assert "card" not in read_json(run / "report.json")
    assert verify(run, progress=False) == []


def test_a_process_killed_at_any_line_leaves_what_verify_names_and_the_next_one_mends(
    run, tmp_path, monkeypatch
):
    first = card(run)
    for last in itertools.count():
        work, steps = tmp_path / f"killed {last}", iter(range(last))
        shutil.copytree(run, work)
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            for owner, name in (
                (Path, "mkdir"), (Path, "replace"), (Path, "rmdir"), (Path, "write_text"), (os, "replace"),
            ):  # fmt: skip
                patch.setattr(owner, name, killed_after(steps, getattr(owner, name)))
            recard(work, "second")
            break
        told = read_json(work / "report.json")["files"]["hf/files.json"]
        whole = [*sealed.file_facts(work / "hf" / "files.json")] == told
        assert (verify(work, progress=False) == []) == whole
        assert card(work) in (first, "second")
        for text in ("third", "fourth"):  # killed again, after the same number of steps
            steps = iter(range(last))
            with monkeypatch.context() as patch, contextlib.suppress(Killed):
                for owner, name in ((Path, "replace"), (os, "replace")):
                    patch.setattr(owner, name, killed_after(steps, getattr(owner, name)))
                recard(work, text)
        assert recard(work, "last") is None
        assert card(work) == "last"
        assert verify(work, progress=False) == []
        assert not (work / sealed.UNFINISHED).exists()
    assert last > 5


@pytest.mark.parametrize("after", [False, True])
def test_a_card_that_somebody_changed_is_left(after, run):
    if after:
        recard(run, "second")
    (run / "hf" / "README.md").write_text("mine")
    before = read_json(run / "report.json")
    assert recard(run, "third") == "not as jaxprune wrote it"
    assert card(run) == "mine"
    assert read_json(run / "report.json") == before
    (run / "hf" / "README.md").unlink()
    assert recard(run, "third") == "not as jaxprune wrote it"
    assert not (run / "hf" / "README.md").exists()


def test_damage_elsewhere_does_not_pass_for_right_afterwards(run):
    config = run / "hf" / "config.json"
    config.write_text(config.read_text() + " ")
    table = read_json(run / "hf" / "files.json")
    assert recard(run, "second") is None
    assert [*verify(run, progress=False)] == [
        "hf: config.json: damaged, its bytes are not those that were written"
    ]
    table["config.json"] = [*sealed.file_facts(config)]  # somebody tells of it in the table
    (run / "hf" / "files.json").write_text(json.dumps(table, indent=2) + "\n")
    assert recard(run, "third") == "files.json beside it is not as jaxprune wrote it"
    assert card(run) == "second"
