"""Whose is a workdir, and which run: nothing finished is lost, nothing that is not ours is removed."""

import contextlib
import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from folder_contents import contents, flip_bit
from jobs import on_tokens
from kills import Killed, killed_after
from recount import recount

import jaxprune as jp
from jaxprune.base.files import manifest
from jaxprune.base.files.whole import write_json
from jaxprune.base.workdir.json_files import content_digest
from jaxprune.base.workdir.reading import check_workdir, read_report
from jaxprune.pages.job import run_from_config
from jaxprune.pruning import loop
from jaxprune.runs import run as ledger_run
from jaxprune.runs.run import open_run
from jaxprune.runs.verify import verify
from jaxprune.steps import prune


@pytest.fixture(scope="module")
def finished(tiny_folder, tmp_path_factory):
    """(model, tokens, workdir) of a run that is complete."""
    folder = tmp_path_factory.mktemp("finished")
    ids = np.random.default_rng(1).integers(0, 131, (5, 24)).astype(np.int32)
    np.savez(folder / "tokens.npz", input_ids=ids)
    shutil.copytree(tiny_folder("gpt2"), folder / "model")
    run_from_config(job(folder), folder / "run")
    add_figures(folder / "run")
    return folder


def add_figures(run):
    """Makes of the run one of an earlier version, which drew `figures/` if the config said so."""
    with manifest.whole_folder(run / "figures") as folder:
        (folder / "magnitudes.png").write_bytes(b"drawn")
    report = json.loads((run / "report.json").read_text())
    del report["sha256"]
    report["identity"]["config.output.figures"] = True
    table = "figures/files.json"
    report["files"][table] = [*manifest.file_facts(run / table)]
    write_json(run / "report.json", report | {"sha256": content_digest(report)})


@pytest.fixture
def place(finished, tmp_path):
    """A copy of that folder."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, copy_function=shutil.copy2)
    return tmp_path


def job(folder, **fields):
    return on_tokens(folder / "model", folder / "tokens.npz", **fields)


def test_the_same_job_is_done_already(place, capsys):
    before = contents(place)
    report = run_from_config(job(place, mesh__data=1, evaluation__rows=3), place / "run")
    assert contents(place) == before
    assert report == json.loads((place / "run" / "report.json").read_text())
    said = capsys.readouterr().out
    assert "run is complete; --overwrite repeats the run" in said
    assert "sparsity" in said


@pytest.mark.parametrize("name", ["hf/config.json", "config.json"])
def test_a_complete_run_that_lost_a_file_is_not_told_complete(name, place):
    (place / "run" / name).unlink()
    with pytest.raises(
        jp.InputError, match=rf"run: {name.replace('/', '(: |/)')}: missing; .*--overwrite"
    ):
        run_from_config(job(place), place / "run")


def test_the_same_model_and_text_elsewhere_are_the_same_job(place):
    shutil.move(place / "model", place / "other")
    shutil.move(place / "tokens.npz", place / "text.npz")
    config = job(place, model=str(place / "other"), calibration__data=str(place / "text.npz"))
    before = contents(place)
    run_from_config(config, place / "run")
    assert contents(place) == before


def other_weights(place):
    """One bit, with the time put back, in a folder that looks like a snapshot of the hub."""
    flip_bit(place / "model" / "model.safetensors")
    commit = place / ("0123456789" * 4)
    shutil.move(place / "model", commit)
    return job(place, model=str(commit))


def other_text(place):
    arrays = dict(np.load(place / "tokens.npz"))
    arrays["input_ids"][0, 0] ^= 1
    np.savez(place / "tokens.npz", **arrays)
    return job(place)


def other_sparsity(place):
    return job(place, pruning__sparsity=0.8)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (other_weights, "model '.*', now '.*0123456789'"),
        (other_text, r"calibration\.data '.*', now '.*tokens\.npz'"),
        (other_sparsity, r"config.pruning.sparsity 0\.3, now 0\.8"),
    ],
)
def test_another_job_is_refused_and_named_and_replaces_when_told(place, change, named):
    config = change(place)
    before = contents(place / "run")
    with pytest.raises(jp.InputError, match=f"contains a complete run with {named}.*--overwrite"):
        run_from_config(config, place / "run")
    assert contents(place / "run") == before
    run_from_config(config, place / "run", overwrite=True)
    assert recount(place / "run") == []
    run_from_config(config, place / "fresh")
    one, other = (json.loads((place / n / "report.json").read_text()) for n in ("run", "fresh"))
    assert one["digests"]["masks"] == other["digests"]["masks"]


def test_a_run_that_stops_has_destroyed_nothing(place, monkeypatch):
    before = contents(place / "run")
    config = other_sparsity(place)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "prune_kernels", killed_after(iter(range(2)), loop.prune_kernels))
        with pytest.raises(Killed):
            run_from_config(config, place / "run", overwrite=True)
    assert before.items() <= contents(place / "run").items()
    assert recount(place / "run") == []
    run_from_config(config, place / "run", overwrite=True)
    assert recount(place / "run") == []
    assert not (place / "run" / "progress").exists()


def at_each_step(patch, steps, stop):
    """Gives every function that replaces a file to `stop`, with the steps that are left."""
    for owner, name in ((Path, "unlink"), (Path, "rename"), (Path, "replace"), (os, "replace")):
        patch.setattr(owner, name, stop(steps, getattr(owner, name)))


@pytest.fixture
def committed(place, monkeypatch):
    """A workdir with a complete run and, committed in progress/, one of another sparsity."""
    real, calls = ledger_run._put_in_place, iter(range(2))

    def killed_at_the_second(workdir):
        if next(calls) == 1:
            raise Killed
        real(workdir)

    config = job(place, pruning__sparsity=0.8)
    with monkeypatch.context() as patch:
        patch.setattr(ledger_run, "_put_in_place", killed_at_the_second)
        with pytest.raises(Killed):
            run_from_config(config, place / "run", overwrite=True)
    return place, config


def test_a_committed_run_is_put_in_place_after_a_kill_at_any_step(committed, monkeypatch):
    place, _ = committed
    for last in itertools.count():
        work, steps = place / f"killed {last}", iter(range(last))
        shutil.copytree(place / "run", work, copy_function=os.link)
        is_whole = False
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            at_each_step(patch, steps, killed_after)
            ledger_run._put_in_place(work)
            is_whole = True
        check_workdir(work, place / "model")
        with contextlib.suppress(jp.InputError):  # readers refuse until all is in place
            assert read_report(work)["sparsity"]["overall"] > 0.7
            assert recount(work) == []
        ledger_run._put_in_place(work)
        assert recount(work) == []
        assert read_report(work)["sparsity"]["overall"] > 0.7
        assert not (work / "figures").exists()
        if is_whole:
            break
    assert last > 10


def test_readers_refuse_a_run_that_is_not_in_place_and_its_command_completes_it(committed, capsys):
    place, config = committed
    for _ in range(2):
        with pytest.raises(jp.InputError, match="not yet in place; repeat its command"):
            recount(place / "run")
    report = run_from_config(config, place / "run")
    assert "run is complete" in capsys.readouterr().out
    assert recount(place / "run") == []
    assert report["sparsity"]["overall"] > 0.7
    assert not (place / "run" / "progress").exists()


def test_a_file_that_others_put_where_an_output_belongs_is_named_and_stays(committed):
    place, config = committed
    mine = place / "run" / "hf" / "mine"
    mine.write_text("mine")
    for _ in range(2):
        with pytest.raises(jp.InputError, match="hf/mine exists and was not written by jaxprune"):
            run_from_config(config, place / "run")
    assert mine.read_text() == "mine"
    mine.unlink()
    run_from_config(config, place / "run")
    assert recount(place / "run") == []


def test_parts_of_two_runs_are_refused(committed):
    place, config = committed
    shutil.rmtree(place / "run" / "progress" / "hf")
    with pytest.raises(jp.InputError, match=r"is of another run than hf/files\.json; move"):
        run_from_config(config, place / "run")


def test_files_of_others_stay(place):
    for where in ("hf", "stats", "checkpoint"):
        thesis = place / "run" / where / "thesis.tex"
        thesis.write_text("mine")
        before = contents(place / "run")
        with pytest.raises(
            jp.InputError, match=rf"{where}/thesis\.tex exists and was not written by jaxprune"
        ):
            run_from_config(job(place, pruning__sparsity=0.8), place / "run", overwrite=True)
        assert contents(place / "run") == before
        thesis.unlink()


def test_a_config_of_others_stays(place):
    (place / "mine").mkdir()
    (place / "mine" / "config.json").write_text("{}")
    with pytest.raises(jp.InputError, match=r"config\.json is in no report\.json of jaxprune"):
        run_from_config(job(place), place / "mine")
    assert (place / "mine" / "config.json").read_text() == "{}"


def test_outputs_without_their_report_are_replaced_when_their_config_is_moved_away(place):
    (place / "run" / "report.json").unlink()
    before = contents(place / "run")
    with pytest.raises(jp.InputError, match=r"config\.json is in no report\.json of jaxprune"):
        run_from_config(job(place), place / "run", overwrite=True)
    assert contents(place / "run") == before
    (place / "run" / "config.json").unlink()  # as the message says
    run_from_config(job(place), place / "run")
    assert recount(place / "run") == []


def test_a_complete_run_of_other_code_or_versions_is_the_same_job(place, monkeypatch):
    whole = prune.run_identity
    others = dict.fromkeys(("code", "jax", "platform", "products"), "another")
    monkeypatch.setattr(prune, "run_identity", lambda *given: whole(*given) | others)
    before = contents(place / "run")
    run_from_config(job(place), place / "run")
    assert contents(place / "run") == before


def test_what_others_put_into_progress_stays(place):
    (place / "new" / "progress").mkdir(parents=True)
    (place / "new" / "progress" / "notes").write_text("mine")
    run_from_config(job(place), place / "new")
    assert [*(place / "new" / "progress").iterdir()] == [place / "new" / "progress" / "notes"]
    (place / "other" / "progress" / "stats").mkdir(parents=True)
    (place / "other" / "progress" / "stats" / "week1.npz").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(
            jp.InputError, match="progress/stats is not of an unfinished run; move it away"
        ):
            run_from_config(job(place), place / "other", overwrite=overwrite)
    assert (place / "other" / "progress" / "stats" / "week1.npz").read_text() == "mine"


def test_an_unfinished_run_is_replaced_after_a_kill_at_any_step(tmp_path, monkeypatch):
    def again(workdir):
        return open_run(workdir, {"a": 2}, {}, overwrite=True)

    real = Path.unlink
    for last in itertools.count():
        workdir = tmp_path / f"{last}"
        (workdir / "progress" / "stats").mkdir(parents=True)
        (workdir / "progress" / "layer_00000.npz").touch()
        write_json(workdir / "progress" / "run.json", {"identity": {"a": 1}})
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(Path, "unlink", killed_after(iter(range(last)), real))
            with again(workdir):
                break
        with again(workdir) as run:
            assert {file.name for file in run.folder.iterdir()} <= {"run.json", "lock"}
    assert last > 2


def test_a_model_that_changes_while_it_is_read(place, monkeypatch):
    whole, count = loop.prune_kernels, iter(range(10))

    def select(*arguments, **named):
        if next(count) == 1:
            flip_bit(place / "model" / "model.safetensors")
        return whole(*arguments, **named)

    monkeypatch.setattr(loop, "prune_kernels", select)
    with pytest.raises(jp.InputError, match=r"model\.safetensors: changed while it was read"):
        run_from_config(job(place), place / "new")
    assert not (place / "new" / "report.json").exists()


def test_every_damage_is_found_and_named(place):
    run = place / "run"
    assert recount(run) == []
    for name, content in contents(run).items():
        file = run / name
        for damaged in (content[:-1] + bytes([content[-1] ^ 1]), None):
            file.unlink() if damaged is None else file.write_bytes(damaged)
            try:
                faults = verify(run)
            except jp.InputError as error:
                faults = [str(error)]
            assert any(file.name in fault for fault in faults), (name, faults)
            assert all(fault.isprintable() for fault in faults)
            file.write_bytes(content)
    assert recount(run) == []
