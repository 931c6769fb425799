"""A card takes another one's place: the run stays whole, whatever ends the process, and nothing of others is lost."""

import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from folder_contents import contents
from jobs import job
from kills import Killed, killed_after
from recount import recount

import jaxprune as jp
from jaxprune.base.files import manifest
from jaxprune.base.files.outside import read_json
from jaxprune.base.workdir.reading import read_report
from jaxprune.nano import CHECKPOINTS
from jaxprune.pages.job import run_from_config

JOB = job(CHECKPOINTS["bloom"], pruning__criterion="magnitude")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("finished") / "run"
    run_from_config(JOB, workdir)
    return workdir


@pytest.fixture
def run(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "run"))


def recard(run, text):
    return manifest.replace_card(run / "hf", text)


def card(run):
    return (run / "hf" / "README.md").read_text()


def test_the_last_line_of_a_card_has_the_digest_of_the_text_above(run):
    text, last = re.fullmatch(r"(.*\n)(<!-- .* -->\n)", card(run), re.DOTALL).groups()
    assert hashlib.sha256(text.encode()).hexdigest() in last
    assert card(run) == manifest.signed(text)
    assert "README.md" not in read_json(run / "hf" / "files.json")
    assert "card" not in read_report(run)


def test_a_run_with_another_card_is_the_same_whole_run(run, capsys):
    files = contents(run)
    assert recount(run) == []
    for text in ("new é\n", "new é\n", "newer\n"):
        assert recard(run, text)
        assert card(run) == manifest.signed(text)
        assert recount(run) == []
    assert contents(run) == files | {"hf/README.md": manifest.signed("newer\n").encode()}
    run_from_config(JOB, run)  # nothing is made anew
    assert "run is complete" in capsys.readouterr().out
    assert card(run) == manifest.signed("newer\n")
    run_from_config(JOB, run, overwrite=True)
    assert card(run).startswith("---\n")
    assert recount(run) == []


def test_a_process_killed_at_any_line_leaves_the_old_card_or_the_new_one(
    run, tmp_path, monkeypatch
):
    first = card(run)
    for last in itertools.count():
        work, steps = tmp_path / f"killed {last}", iter(range(last))
        shutil.copytree(run, work)
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            for owner, name in (
                (Path, "mkdir"), (Path, "replace"), (shutil, "rmtree"), (Path, "write_text"), (os, "replace"),
            ):  # fmt: skip
                patch.setattr(owner, name, killed_after(steps, getattr(owner, name)))
            recard(work, "second\n")
            break
        assert card(work) in (first, manifest.signed("second\n"))
        assert recount(work) == []
        assert recard(work, "last\n")
        assert card(work) == manifest.signed("last\n")
        assert recount(work) == []
        assert not [*work.glob(f"*{manifest.UNFINISHED}")]
    assert last > 4


@pytest.mark.parametrize("after", [False, True])
def test_a_card_that_somebody_changed_is_theirs(after, run):
    if after:
        recard(run, "second\n")
    file = run / "hf" / "README.md"
    for edited in ("mine", card(run).replace("\n", " \n", 1), card(run) + "mine", ""):
        file.write_text(edited)
        assert not recard(run, "third\n")
        assert card(run) == edited
        [fault] = recount(run)
        assert fault.startswith("hf: README.md: ")
    file.unlink()
    assert not recard(run, "third\n")
    assert not file.exists()
    assert recount(run) == ["hf: README.md: missing"]


def test_a_card_that_somebody_changed_is_not_overwritten_with_the_run(run):
    file = run / "hf" / "README.md"
    file.write_text("mine")
    before = contents(run)
    with pytest.raises(jp.InputError, match=r"README\.md exists and was not written by jaxprune"):
        run_from_config(JOB, run, overwrite=True)
    assert contents(run) == before


def test_damage_elsewhere_stays_damage(run):
    config = run / "hf" / "config.json"
    config.write_text(config.read_text() + " ")
    assert recard(run, "second\n")
    assert [*recount(run)] == [
        "hf: config.json: damaged, its bytes are not those that were written"
    ]
    table = read_json(run / "hf" / "files.json")
    table["config.json"] = [*manifest.file_facts(config)]  # somebody tells of it in the table
    (run / "hf" / "files.json").write_text(json.dumps(table, indent=2) + "\n")
    assert recard(run, "third\n")
    assert [*recount(run)] == ["hf/files.json: damaged, its bytes are not those that were written"]
