"""Several workers of one sweep: what each makes, what is refused, and shares that are merged."""

import contextlib
import html
import itertools
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import jobs
import pytest
from faults.place import halve
from run_json import write_report
from run_scripts import run_here

from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.workdir.locks import PROGRESS, locked
from jaxprune.search.sweeps import sweep_json, workers
from jaxprune.search.sweeps.merge import merge
from jaxprune.search.sweeps.run import sweep_from_config
from jaxprune.search.sweeps.runner import Runner
from jaxprune.search.sweeps.status import sweep_status
from jaxprune.search.sweeps.variants import variants
from jaxprune.search.sweeps.write import print_tables, rebuild

NANO = str(files("jaxprune").joinpath("nano", "checkpoints", "bloom"))


def job(**fields):
    settings = {
        "calibration.data": "nano", "calibration.samples": 2, "output.hf": False,
        "evaluation.tasks": "nano_nli", "evaluation.rows": 6, "evaluation.perplexity": "nano",
        "sweep.grid": "pruning.criterion=random|wanda calibration.source=fr pruning.sparsity=0.3|0.5",
        "pruning.propagate": "dense",
    }  # fmt: skip
    return jobs.job(NANO, "sweep", **settings | fields)


PLANNED = variants(job()).made
NAMES = [one.name for one in PLANNED]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The workdir of a sweep of one worker."""
    workdir = tmp_path_factory.mktemp("alone")
    assert sweep_from_config(job(), workdir).missing == []
    return workdir


def contents(workdir):
    """Scores, digests of masks, and tables."""
    found = {str(f.relative_to(workdir)): f.read_bytes() for f in sorted(workdir.glob("*/*/*.npz"))}
    for file in workdir.glob("*/report.json"):
        found[file.parent.name] = json.loads(file.read_text())["digests"]
    return found | {file.name: file.read_text() for file in workdir.glob("*.csv")}


def test_the_status_of_a_sweep(alone, tmp_path):
    assert sweep_status(alone) == f"{len(NAMES)} of {len(NAMES)} variants are done"
    workdir = tmp_path / "sweep"
    shutil.copytree(alone, workdir)
    *done, stopped, running, to_do = NAMES
    for name in (stopped, running, to_do):
        shutil.rmtree(workdir / name)
    (workdir / stopped / PROGRESS).mkdir(parents=True)
    (workdir / stopped / PROGRESS / "run.json").write_text("{}")
    with locked(workdir, f"{running}.lock"):
        first, *others = sweep_status(workdir).splitlines()
    assert first.startswith(f"{len(done)} of {len(NAMES)} variants are done; about 1 min left")
    [is_running, is_stopped, is_to_do] = others
    assert is_running.startswith(f"  running: {running}, process ")
    assert is_stopped == f"  stopped, go on when the command is repeated: {stopped}"
    assert is_to_do == f"  to do: {to_do}"
    shutil.rmtree(workdir / "dense")  # the others still count
    assert sweep_status(workdir).startswith(f"{len(done) - 1} of {len(NAMES)} variants are done\n")
    without_tables = tmp_path / "without"
    shutil.copytree(alone, without_tables)
    (without_tables / "measurements.csv").unlink()
    assert sweep_status(without_tables) == (
        f"{len(NAMES)} of {len(NAMES)} variants are done; the tables are not written yet"
    )


def test_workers_share_the_variants_and_give_the_tables_of_one(alone, tmp_path, monkeypatch):
    made, real = [], Runner.make
    both = threading.Barrier(2)

    def make(runner, variant):
        if len(made) < 2:
            both.wait(60)  # each worker has a variant
        made.append((threading.get_ident(), variant.name))
        real(runner, variant)

    monkeypatch.setattr(Runner, "make", make)
    monkeypatch.setattr(workers, "_WAIT", 0.05)
    with ThreadPoolExecutor() as pool:
        tables = [*pool.map(sweep_from_config, [job()] * 2, [tmp_path] * 2)]
    assert sorted(one is None for one in tables) == [False, True]
    assert sorted(name for _, name in made) == sorted(NAMES)
    assert len({worker for worker, _ in made}) == 2
    assert contents(tmp_path) == contents(alone)
    assert not (tmp_path / PROGRESS).exists()


def test_workers_of_other_variants_are_refused_meanwhile(tmp_path, monkeypatch):
    def make(*_):
        grid = {"sweep.grid": "pruning.sparsity=0.3"}
        for fields, message in ((grid, "with other variants are running"), ({"seed": 1}, "seed")):
            with pytest.raises(InputError, match=message):
                sweep_from_config(job(**fields), tmp_path)
        raise KeyboardInterrupt

    monkeypatch.setattr(Runner, "make", make)
    with pytest.raises(KeyboardInterrupt):
        sweep_from_config(job(), tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == [sweep_json.CONFIG]


HOLD = """
import sys, time
from pathlib import Path
from jaxprune.base.workdir.locks import locked
with locked(Path(sys.argv[1]), "dense.lock"):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_the_variant_of_a_killed_worker_is_taken_over(tmp_path, monkeypatch, capfd):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"locked\n"
    made = []
    monkeypatch.setattr(workers, "_WAIT", 0.05)
    kill = threading.Timer(0.5, lambda: holder.send_signal(signal.SIGKILL))
    kill.start()
    workers.make_all(
        PLANNED, tmp_path, lambda one: one.name in made, lambda one: made.append(one.name)
    )
    holder.wait()
    assert made == [*NAMES[1:], "dense"]
    assert capfd.readouterr().err.count("waits for other workers: dense") == 1


def test_a_lock_that_is_removed_by_its_owner_has_one_owner(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(40):
            with locked(tmp_path, wait=True):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 320
    assert max(most) == 1
    assert not [*tmp_path.iterdir()]


@pytest.fixture(scope="module")
def shares(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shares")
    for number in range(2):
        sweep_from_config(job(), folder / str(number), shard=f"{number}/2")
    return folder


def test_merged_shares_give_the_tables_of_one(alone, shares, tmp_path, monkeypatch, capfd):
    parts = [shares / "0", shares / "1"]
    assert [sorted(p.parent.name for p in part.glob("*/perplexity")) for part in parts] == [
        sorted(NAMES[0::2]), sorted(NAMES[1::2]),
    ]  # fmt: skip
    merged = tmp_path / "all"
    done = run_here(monkeypatch, capfd, "sweep", "--merge", *parts, "--workdir", merged)
    assert done.returncode == 0, done.stderr
    assert contents(merged) == contents(alone)
    streamed = job(**{"evaluation.weights": "streamed"})  # as on a machine with less memory
    sweep_from_config(streamed, merged)  # finds nothing to make
    assert contents(merged) == contents(alone)


def test_the_status_of_a_share_counts_its_variants(shares, tmp_path):
    for number in (0, 1):  # the second lacks the dense model
        count = len(NAMES[number::2])
        assert sweep_status(shares / str(number)) == (
            f"share {number}/2: {count} of {count} variants are done; "
            "jaxprune sweep --merge joins the shares"
        )
    unfinished = tmp_path / "part"
    shutil.copytree(shares / "1", unfinished)
    shutil.rmtree(unfinished / NAMES[1] / "perplexity")
    [first, to_do] = sweep_status(unfinished).splitlines()
    assert first == f"share 1/2: 1 of {len(NAMES[1::2])} variants are done"
    assert to_do == f"  to do: {NAMES[1]}"


def test_a_workdir_has_its_shares_or_all_variants(tmp_path):
    def joined(shard):
        with sweep_json.joined(job(), tmp_path, {}, shard):
            return sweep_json.begun_shares(tmp_path)

    assert [joined(shard) for shard in ("1/4", "0/4", "1/4", None, "2/4")] == [
        ["1/4"], ["0/4", "1/4"], ["0/4", "1/4"], [], [],
    ]  # fmt: skip


def test_a_share_that_has_not_started_is_named_and_merged_later(
    alone, shares, tmp_path, monkeypatch, capfd
):
    merged, absent = tmp_path / "all", tmp_path / "absent"
    arguments = ("--merge", absent, shares / "0", "--workdir", merged)
    done = run_here(monkeypatch, capfd, "sweep", *arguments)
    assert done.returncode == 0, done.stderr
    assert f"sweep: '{absent}': not started; merges the rest" in done.stderr.splitlines()
    assert f"Unfinished: {len(NAMES[1::2])} variants" in (merged / "report.html").read_text()
    assert merge([shares / "1"], merged).missing == []
    assert contents(merged) == contents(alone)
    with pytest.raises(InputError, match=r"absent/sweep\.json: missing; expected the --workdir"):
        merge([absent], tmp_path / "none")


def evaluations(workdir):
    return {file.relative_to(workdir) for file in workdir.glob("*/*/evaluation.json")}


def test_a_killed_merge_leaves_nothing_that_passes_for_scores(alone, shares, tmp_path, monkeypatch):
    parts, merged, real = [shares / "0", shares / "1"], tmp_path / "all", shutil.copytree
    for last in itertools.count():
        steps = iter(range(last))

        def copy(*given, steps=steps):
            real(*given)
            if next(steps, None) is None:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(shutil, "copytree", copy)
            merge(parts, merged)
            break
        assert evaluations(merged) <= evaluations(alone)
    assert last > 4
    assert contents(merged) == contents(alone)


@pytest.fixture
def parts(shares, tmp_path):
    """Copies of both shares."""
    return [shutil.copytree(shares / name, tmp_path / name) for name in "01"]


def test_parts_that_differ_are_not_merged(parts, tmp_path):
    file = parts[1] / sweep_json.CONFIG
    text = file.read_text()
    for old, new, message in (
        ('"seed": 0', '"seed": 1', "0 and .*1: seed is 0 in the first and 1 in the second"),
        ('"perplexity fr"', '"perplexity ru"', "perplexity fr is .* in the first and missing"),
    ):
        file.write_text(text.replace(old, new))
        with pytest.raises(InputError, match=message):
            merge(parts, tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_a_damaged_or_different_variant_is_not_merged(parts, tmp_path):
    scores = parts[1] / NAMES[1] / "nano_nli/fr.npz"
    before = scores.read_bytes()
    halve(scores)
    with pytest.raises(InputError, match=f"{NAMES[1]}/nano_nli/fr.npz: damaged"):
        merge(parts, tmp_path / "all")
    scores.write_bytes(before)
    merge(parts, tmp_path / "all")
    report = tmp_path / "all" / NAMES[1] / "report.json"
    told = json.loads(report.read_text())
    told["digests"]["masks"] = "7" * 64
    write_report(report, told)
    with pytest.raises(InputError, match=f"{NAMES[1]}: masks is .* in the first and 7777"):
        merge(parts, tmp_path / "all")


def test_the_tables_of_an_unfinished_sweep_name_what_is_missing(alone, tmp_path, capfd):
    workdir = shutil.copytree(alone, tmp_path / "sweep")
    metrics = workdir / NAMES[2] / "perplexity"
    told = json.loads((metrics / "evaluation.json").read_text())
    told["languages"].remove("fr")
    (metrics / "evaluation.json").write_text(json.dumps(told))
    manifest.seal(metrics)
    shutil.rmtree(workdir / NAMES[3])
    found = rebuild(workdir)
    assert found.missing == NAMES[2:4]
    missing = f"2 variants are missing, and so are their figures: {NAMES[2]!r}, {NAMES[3]!r}"
    assert f"Unfinished: {missing}" in html.unescape((workdir / "report.html").read_text())
    print_tables(found, workdir)
    assert f"Unfinished: {missing}" in capfd.readouterr().out
    assert found.comparison.names == [NAMES[0], NAMES[1], NAMES[4]]
    shutil.rmtree(workdir / "dense")
    with pytest.raises(InputError, match="dense: no scores; expected those of the dense model"):
        rebuild(workdir)


@pytest.mark.parametrize(
    ("shard", "places"),
    [("0/2", [0, 2, 4]), ("1/2", [1, 3]), ("2/2", [0, 2, 4]), ("0/1", range(5)), ("6/7", [])],
)
def test_shares_are_every_nth_variant(shard, places):
    assert workers.shard_of(PLANNED, workers.share_of_flag(shard)) == [
        PLANNED[place] for place in places
    ]


def test_the_number_of_a_share_comes_from_the_scheduler(monkeypatch):
    for name in ("SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "SKYPILOT_NODE_RANK"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "1")
            assert workers.share_of_flag("auto/4") == "1/4"
    with pytest.raises(InputError, match="--shard: auto, but none of SLURM_ARRAY_TASK_ID, "):
        workers.share_of_flag("auto/4")


@pytest.mark.parametrize("shard", ["", "1", "3/2", "0/0", "-1/2", "a/b"])
def test_other_shares_are_refused(shard):
    with pytest.raises(InputError, match=r"--shard: got .*; expected i/n with i from 0 to n, or"):
        workers.share_of_flag(shard)


def test_an_empty_share_is_not_the_whole_sweep(tmp_path):
    with pytest.raises(InputError, match="--shard: got '/'"):
        sweep_from_config(job(), tmp_path, shard="")
    assert not [*tmp_path.iterdir()]


def test_a_plan_lists_the_variants_of_a_share_and_what_is_left_out(tmp_path, monkeypatch, capfd):
    arguments = (
        "--config=sweep_nano", f"--workdir={tmp_path / 'none'}", "--plan",
        "--config.sweep.grid=calibration.source=en|fr pruning.sparsity=0.3|0.5",
    )  # fmt: skip
    told = run_here(monkeypatch, capfd, "sweep", *arguments).stdout.splitlines()
    assert told[0].startswith("left out calibration.source=en pruning.sparsity=0.3 and 1 more: ")
    assert told[1:] == ["variants: 3", "  dense", "  fr-0.3", "  fr-0.5"]
    told = run_here(monkeypatch, capfd, "sweep", *arguments, "--shard=1/2").stdout.splitlines()
    assert told[1:] == ["variants: 1", "  fr-0.3"]
    assert not [*tmp_path.iterdir()]
