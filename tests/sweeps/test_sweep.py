"""A small sweep end to end: what is left to do, what is kept, and what is refused."""

import json
import shutil
import sys
from importlib.resources import files

import jax
import jobs
import numpy as np
import pytest
from faults.place import halve, largest
from folder_contents import flip_bit
from run_json import write_report
from run_scripts import run_here

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.workdir.locks import LockedError, locked
from jaxprune.base.workdir.reading import is_complete
from jaxprune.evaluation import evaluate
from jaxprune.pages.job import run_from_config
from jaxprune.pruning.loop import prune_blocks
from jaxprune.pruning.settings import Settings
from jaxprune.search.sweeps import calibration, sweep_json
from jaxprune.search.sweeps.calibration import CalibrationSets
from jaxprune.search.sweeps.run import print_plan, sweep_from_config
from jaxprune.search.sweeps.runner import Runner
from jaxprune.search.sweeps.variants import variants
from jaxprune.search.sweeps.write import print_tables, rebuild
from jaxprune.steps import checkpoint

NANO = str(files("jaxprune").joinpath("nano", "checkpoints", "gpt2"))
ROWS = 12
NAMES = ["dense", "random-0.5", "wanda-fr-0.5"]


def job(**fields):
    settings = {
        "calibration.data": "nano", "calibration.samples": 6, "output.hf": False,
        "evaluation.tasks": "nano_nli,nano_reviews", "evaluation.rows": ROWS,
        "sweep.grid": "pruning.criterion=random|wanda calibration.source=fr pruning.sparsity=0.5",
        "evaluation.translation": "nano", "evaluation.translation_rows": 6,
    }  # fmt: skip
    return jobs.job(NANO, "sweep", **settings | fields)


@pytest.fixture(scope="module", autouse=True)
def few_tokens():
    """Translations of a pruned model, which may find no end, are shorter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxprune.search.sweeps.runner.NEW_TOKENS", 16)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("sweep") / "runs" / "nano"
    return workdir, sweep_from_config(job(), workdir)


def scores(file):
    with np.load(file) as arrays:
        return arrays["scores"]


def contents(workdir):
    """Every array and text that a rerun must give again; times and Orbax's own files are not among them."""
    found = {}
    for file in sorted(workdir.rglob("*.npz")):
        found[str(file.relative_to(workdir))] = scores(file).tobytes()
    for file in workdir.rglob("*.jsonl"):
        found[str(file.relative_to(workdir))] = file.read_bytes()
    for file in workdir.glob("*/report.json"):
        found[file.parent.name] = digests_of(file.parent)
    return found


def digests_of(run):
    return json.loads((run / "report.json").read_text())["digests"]


def test_each_variant_has_the_folder_of_a_run_of_its_own(done):
    workdir, _ = done
    assert sorted(p.name for p in workdir.iterdir() if p.is_dir()) == sorted(NAMES)
    for name in NAMES:
        for task in ("nano_nli", "nano_reviews"):
            files_there = sorted(p.name for p in (workdir / name / task).iterdir())
            assert files_there == [
                "en.npz", "evaluation.json", "files.json", "fr.npz", "measurements.csv",
            ]  # fmt: skip
            assert len(scores(workdir / name / task / "fr.npz")) == ROWS
        assert (workdir / name / "report.json").is_file() == ("0.5" in name)
    own = json.loads((workdir / "wanda-fr-0.5" / "config.json").read_text())
    assert own["calibration"]["kind"] == "translation"
    assert (own["calibration"]["source"], own["pruning"]["sparsity"]) == ("fr", 0.5)
    assert "sweep" not in own


def test_the_tables_say_what_all_variants_share(tmp_path):
    grid = "pruning.criterion=wanda|ria calibration.source=fr|sw"
    fields = {
        "evaluation.translation": None,
        "evaluation.tasks": "nano_nli",
        "pruning.sparsity": 0.5,
    }
    result = sweep_from_config(job(**fields | {"sweep.grid": grid, "evaluation.rows": 4}), tmp_path)
    [note] = result.comparison.notes
    assert note == "All variants: 50% sparsity, translation."
    assert note in (tmp_path / "report.html").read_text("utf-8")


def test_a_whole_sweep_makes_nothing(done, monkeypatch, capsys):
    workdir, found = done
    before = contents(workdir)

    def refuse(*_):
        raise AssertionError("makes variants")

    monkeypatch.setattr(Runner, "make", refuse)
    again = sweep_from_config(job(), workdir)
    assert again.comparison.changes == found.comparison.changes
    assert contents(workdir) == before
    print_tables(again, workdir)
    assert "wanda " in capsys.readouterr().out


def test_scores_of_other_weights_and_a_broken_report_are_made_again(done, finished):
    """As where a damaged variant was pruned anew, and came out otherwise."""
    workdir = finished
    variant = workdir / "random-0.5"
    for folder in (variant / "nano_nli", workdir / "dense" / "nano_reviews"):
        told(folder / "evaluation.json", model_sha256="7" * 64)
        manifest.seal(folder)
    config = job()
    runner = Runner(config, jp.load(NANO), workdir)
    whole = {one.name: runner.is_whole(one) for one in runner.variants}
    assert whole == {**dict.fromkeys(NAMES, True), "random-0.5": False, "dense": False}
    sweep_from_config(config, workdir)
    assert contents(workdir) == contents(done[0])
    (variant / "report.json").write_text("{")
    with pytest.raises(InputError, match=r"random-0\.5/report\.json: not JSON.*; move it away"):
        sweep_from_config(config, workdir)


def test_an_interrupted_sweep_goes_on_with_the_same_bits(done, tmp_path, monkeypatch):
    """Two variants lack half of a file each; one is pruned and half evaluated when it stops."""
    workdir, _ = done
    for name in NAMES[:2]:
        shutil.copytree(workdir / name, tmp_path / name)
    shutil.copy(workdir / sweep_json.CONFIG, tmp_path)
    halve(largest(tmp_path / "random-0.5" / "checkpoint"))
    halve(tmp_path / "dense" / "nano_nli" / "en.npz")
    real, calls = evaluate.score_task, []

    def stops(scorer, asked, facts):
        calls.append(f"{facts['run']}/{asked.task.name}")
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(scorer, asked, facts)

    monkeypatch.setattr(evaluate, "score_task", stops)
    with pytest.raises(KeyboardInterrupt):
        sweep_from_config(job(), tmp_path)
    assert calls == ["dense/nano_nli", "wanda-fr-0.5/nano_nli", "wanda-fr-0.5/nano_reviews"]
    assert is_complete(tmp_path / "random-0.5")
    assert not (tmp_path / "measurements.csv").exists()

    sweep_from_config(job(), tmp_path)
    assert calls[3:] == ["wanda-fr-0.5/nano_reviews"]
    assert contents(tmp_path) == contents(workdir)


@pytest.mark.parametrize("begun", ['{"identity": {"numpy": "1.0"}}', "{"])
def test_a_variant_that_another_version_began_starts_over(begun, done, finished):
    """As of a worker with other packages or devices that was killed; or with a damaged record."""
    shutil.rmtree(finished / "random-0.5")
    (finished / "random-0.5/progress").mkdir(parents=True)
    (finished / "random-0.5/progress/run.json").write_text(begun)
    sweep_from_config(job(), finished)
    assert contents(finished) == contents(done[0])


@pytest.fixture
def finished(done, tmp_path):
    """A copy of the finished sweep."""
    return shutil.copytree(done[0], tmp_path / "sweep")


def told(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_an_input_that_changed_since_is_refused_by_name(finished):
    about = json.loads((finished / sweep_json.CONFIG).read_text())
    assert about["digests"].keys() == {
        "model", "tokenizer", "calibration translation/fr", "nano_nli en", "nano_nli fr",
        "nano_reviews en", "nano_reviews fr", "translation fr",
    }  # fmt: skip
    for name in about["digests"]:
        told(finished / sweep_json.CONFIG, digests=about["digests"] | {name: "7" * 64})
        message = (
            rf"{name}: has changed since the sweep in .* \(SHA-256 7{{12}}…, now [0-9a-f]{{12}}…\)"
        )
        with pytest.raises(InputError, match=message):
            sweep_json.write_sweep(job(), finished, about["digests"])
    with pytest.raises(InputError, match=f"{name}: has changed since the sweep in"):
        sweep_from_config(job(), finished)


def swap(workdir, one, other):
    (workdir / one).rename(workdir / "kept")
    (workdir / other).rename(workdir / one)
    (workdir / "kept").rename(workdir / other)


def test_folders_that_were_swapped_are_refused(finished):
    swap(finished, "random-0.5", "wanda-fr-0.5")
    with pytest.raises(InputError, match=r"criterion 'wanda', now 'random'; expected the run of"):
        sweep_from_config(job(), finished)


def test_scores_of_other_rows_are_not_those_of_a_variant(finished):
    folder = finished / "dense" / "nano_nli"
    identity = json.loads((folder / "evaluation.json").read_text())["identity"]
    told(folder / "evaluation.json", identity=identity | {"content fr": "7" * 64})
    manifest.seal(folder)
    runner = Runner(job(), jp.load(NANO), finished)
    assert not runner.is_whole(runner.variants[0])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seed": 1}, "seed: got 1; .* contains a sweep with 0"),
        ({"evaluation.translation_rows": 7}, "translation fr: has changed since the sweep in"),
    ],
)
def test_a_workdir_of_another_sweep_is_refused(done, fields, message):
    with pytest.raises(InputError, match=message):
        sweep_from_config(job(**fields), done[0])


def test_a_grid_may_grow_and_the_rest_may_not_change(tmp_path):
    sweep_json.write_sweep(job(), tmp_path, {})
    grid = "pruning.criterion=random|ria calibration.source=fr|de pruning.sparsity=0.5|0.1"
    sweep_json.check_same_sweep(job(**{"sweep.grid": grid}), tmp_path)
    with pytest.raises(InputError, match=r"sweep\.name: got 'a\{seed\}'; .* a sweep with None; "):
        sweep_json.check_same_sweep(job(**{"sweep.name": "a{seed}"}), tmp_path)


def test_variants_of_a_smaller_grid_are_kept(done, finished, monkeypatch):
    """The samples of the other variants stay in the same shapes, so theirs are the same runs."""
    made, real = [], Runner.make

    def make(runner, variant):
        made.append(variant.name)
        real(runner, variant)

    monkeypatch.setattr(Runner, "make", make)
    grid = "pruning.criterion=magnitude|wanda|random calibration.source=fr pruning.sparsity=0.5"
    sweep_from_config(job(**{"sweep.grid": grid}), finished)
    assert made == ["magnitude-0.5"]
    assert contents(finished).items() >= contents(done[0]).items()


def test_a_sweep_of_an_earlier_version_is_refused(tmp_path):
    (tmp_path / sweep_json.CONFIG).write_text(
        '{"config": {"sweep.sparsities": "0.3"}, "digests": {}}'
    )
    with pytest.raises(InputError, match=r"sweep\.sparsities: no such field"):
        sweep_from_config(job(), tmp_path)
    with pytest.raises(InputError, match=r"sweep\.sparsities: no such field"):
        rebuild(tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "sacrebleu is not installed"),
        ({"calibration.samples": 10_000}, "calibration.samples"),
        ({"evaluation.perplexity": "nano", "evaluation.perplexity_lines": "5000-6000"}, "perplexity_lines"),
        ({"pruning.allocation": "arithmetic", "pruning.slope": 0.9, "pruning.sparsity": 0.6, "sweep.grid": "seed=0"},
         "arithmetic: got"),
        ({"pruning.ignore": "9/mlp/up"}, "9/mlp/up"),
        ({"evaluation.tasks": "", "evaluation.translation": None}, "evaluation: nothing to compare variants on"),
        ({"evaluation.languages": "zh"}, "none of zh in task nano_nli"),
        ({"pruning.pattern": "1:4"}, r"no product is valid; .*: pruning\.sparsity: got 0\.5"),
    ],
)  # fmt: skip
def test_what_a_later_variant_lacks_is_told_before_the_first(
    fields, message, tmp_path, monkeypatch
):
    if not fields:
        monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(InputError, match=message):
        sweep_from_config(job(**fields), tmp_path)
    assert not list(tmp_path.iterdir())
    if not fields:
        with pytest.raises(InputError, match=message):
            print_plan(job())


def test_verify_reads_all_variants(finished, monkeypatch, capfd):
    assert run_here(monkeypatch, capfd, "verify", finished).stdout == f"{finished}: OK, 2 runs\n"
    flip_bit(finished / "wanda-fr-0.5" / "config.json")
    bad = run_here(monkeypatch, capfd, "verify", finished)
    assert bad.returncode == 1
    assert bad.stdout.startswith("differs: wanda-fr-0.5: config.json: ")


# Recovered variants.

RECOVERED = {
    "output.hf": True, "evaluation.tasks": "nano_nli", "evaluation.translation": None,
    "evaluation.rows": 6, "recovery.epochs": 1, "calibration.samples": 8,
    "sweep.grid": "pruning.criterion=wanda recovery.how=none|block",
}  # fmt: skip


@pytest.fixture(scope="module")
def recovered(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("recovered") / "sweep"
    return workdir, sweep_from_config(job(**RECOVERED), workdir)


def test_a_recovered_variant_is_the_recovery_of_its_pruned_variant(recovered, tmp_path):
    workdir, _ = recovered
    folders = (workdir / name / "checkpoint" for name in ("wanda", "wanda-block"))
    jax.tree.map(np.testing.assert_array_equal, *(checkpoint.restore(f).masks for f in folders))
    fields = {"recovery.run": str(workdir / "wanda"), "recovery.epochs": 1}
    fields |= {"calibration.data": "nano", "calibration.samples": 8}
    run_from_config(jobs.job(NANO, "recover", **fields), tmp_path / "alone")
    assert digests_of(tmp_path / "alone") == digests_of(workdir / "wanda-block")
    scored = json.loads((workdir / "wanda-block/nano_nli/evaluation.json").read_text())
    assert scored["model_sha256"] == jp.load(workdir / "wanda-block/hf").source.fingerprint.digest


def test_a_share_makes_the_run_that_its_recovered_variant_reads(recovered, tmp_path):
    sweep_from_config(job(**RECOVERED), tmp_path, shard="2/3")
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"wanda", "wanda-block"}
    assert not (tmp_path / "wanda/nano_nli").exists()
    for name in ("wanda", "wanda-block"):
        assert digests_of(tmp_path / name) == digests_of(recovered[0] / name)


def test_a_recovered_variant_waits_for_the_worker_that_makes_its_pruned_one(recovered, tmp_path):
    runner = Runner(job(**RECOVERED), jp.load(NANO), tmp_path)
    with locked(tmp_path, "wanda.lock"), pytest.raises(LockedError):
        runner.make(runner.variants[2])


def test_a_recovery_of_another_run_is_made_again(recovered, tmp_path):
    workdir = tmp_path / "sweep"
    shutil.copytree(recovered[0], workdir)
    runner = Runner(job(**RECOVERED), jp.load(NANO), workdir)
    one = runner.variants[2]
    assert runner.is_whole(one)
    report = json.loads((workdir / "wanda-block/report.json").read_text())
    identity = report["identity"] | {"config.recovery.run": "7" * 64}
    write_report(workdir / "wanda-block/report.json", report | {"identity": identity})
    assert not runner.is_whole(one)
    runner.make(one)
    assert runner.is_whole(one)


# One probe for all sparsities and criteria.


def test_dense_statistics_are_probed_once_and_give_the_masks_of_a_pass(tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    for name, text in (("a", "x = 1\n" * 9), ("b", "def f():\n    return 2\n")):
        (tmp_path / "code" / f"{name}.py").write_text(text)
    config = job(**{
        "pruning.propagate": "dense", "calibration.samples": 2, "calibration.code": str(tmp_path / "code"),
        "sweep.grid": {
            "pruning.criterion": ["dsnot", "refined"],
            "calibration.kind": ["translation", "translation_vs_code"],
            "pruning.sparsity": [0.2, 0.5],
        },
    })  # fmt: skip
    model, probed, real = jp.load(NANO), [], calibration.probe

    def probe(model, batches, **how):
        probed.append(batches[0].role)
        return real(model, batches, **how)

    monkeypatch.setattr(calibration, "probe", probe)
    made = variants(config).made
    assert len(made) == 5
    samples = CalibrationSets(config, made, model)
    for variant in made[1:]:
        batches, stats = samples.batches(variant.config), samples.stats(variant.config)
        if variant.config.pruning.sparsity != 0.5:
            continue  # the same statistics
        settings = Settings(
            criterion=variant.config.pruning.criterion, sparsity=0.5, propagate="dense"
        )
        expected = prune_blocks(model, batches, settings, progress=False)
        got = prune_blocks(model, batches, settings, progress=False, stats=stats)
        for one, other in zip(expected, got, strict=True):
            jax.tree.map(np.testing.assert_array_equal, dict(one.keep), dict(other.keep))
    assert probed == ["translation", "code"]
    with pytest.raises(InputError, match="propagate is 'block'"):
        next(prune_blocks(model, [], Settings(sparsity=0.5), stats=stats))


def test_a_sweep_of_grids_has_the_runs_of_quantize(tmp_path):
    fields = {
        "sweep.grid": "quantize.grid=q4_0|q8_0 recovery.how=none|distil",
        "calibration.samples": 8, "recovery.epochs": 1, "evaluation.translation": None,
        "evaluation.tasks": "nano_nli",
    }  # fmt: skip
    result = sweep_from_config(job(**fields), tmp_path / "sweep")
    assert [*result.table["quantize.grid"].dropna().unique()] == ["q4_0", "q8_0"]
    own = {name: fields[name] for name in ("calibration.samples",)}
    config = jobs.job(NANO, "quantize", **{"calibration.data": "nano"}, **own)
    run_from_config(config, tmp_path / "alone")
    file = (tmp_path / "alone/model.gguf").read_bytes()
    assert (tmp_path / "sweep/q4_0/model.gguf").read_bytes() == file
    assert (tmp_path / "sweep/q4_0-distil/model.gguf").is_file()
