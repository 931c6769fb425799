"""A small sweep end to end: what is left to do, what is kept, and what is refused."""

import json
import shutil
import sys
from importlib.resources import files

import jax
import numpy as np
import pytest
from faults.place import halve
from run_json import write_report

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.workdir.locks import LockedError, locked
from jaxprune.base.workdir.reading import is_complete
from jaxprune.cli.config.validate import base_config, validate
from jaxprune.evaluation import evaluate
from jaxprune.pruning.loop import prune_blocks
from jaxprune.pruning.settings import Settings
from jaxprune.runs import checkpoint
from jaxprune.runs.pruned_model import pruned_model
from jaxprune.runs.recover import recover_from_config
from jaxprune.sweeps import calibration, sweep_json
from jaxprune.sweeps.calibration import CalibrationSets
from jaxprune.sweeps.run import sweep_from_config
from jaxprune.sweeps.runner import Runner
from jaxprune.sweeps.variants import variants
from jaxprune.sweeps.write import print_tables, rebuild

NANO = str(files("jaxprune").joinpath("nano", "checkpoints", "gpt2"))
ROWS = 24
NAMES = ["dense", "random-0.5", "wanda-fr-0.5"]


def job(**fields):
    config = base_config()
    settings = {
        "model": NANO, "calibration.data": "nano", "calibration.samples": 6, "output.hf": False,
        "evaluation.tasks": "nano_nli,nano_reviews", "evaluation.rows": ROWS,
        "sweep.grid": "pruning.criterion=random|wanda calibration.source=fr pruning.sparsity=0.5",
        "evaluation.translation": "nano", "evaluation.translation_rows": 6,
    }  # fmt: skip
    with config.ignore_type():
        config.update_from_flattened_dict(settings | fields)
    return validate(config, "sweep")


@pytest.fixture(scope="module", autouse=True)
def few_tokens():
    """Translations of a pruned model, which may find no end, are shorter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxprune.sweeps.runner.NEW_TOKENS", 16)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("sweep") / "runs" / "nano"
    return workdir, sweep_from_config(job(), workdir)


def scores(folder):
    with np.load(folder) as arrays:
        return arrays["scores"], arrays["labels"]


def contents(workdir):
    """Every array and text that a rerun must give again; times and Orbax's own files are not among them."""
    found = {}
    for file in sorted(workdir.rglob("*.npz")):
        found[str(file.relative_to(workdir))] = scores(file)[0].tobytes()
    for file in workdir.rglob("*.jsonl"):
        found[str(file.relative_to(workdir))] = file.read_bytes()
    for file in workdir.glob("*/report.json"):
        found[file.parent.name] = json.loads(file.read_text())["digests"]
    return found


def test_each_variant_has_the_folder_of_a_run_of_its_own(done):
    workdir, _ = done
    assert sorted(p.name for p in workdir.iterdir() if p.is_dir()) == sorted(NAMES)
    for name in NAMES:
        for task in ("nano_nli", "nano_reviews"):
            files_there = sorted(p.name for p in (workdir / name / task).iterdir())
            assert files_there == [
                "en.npz", "evaluation.json", "files.json", "fr.npz", "measurements.csv",
            ]  # fmt: skip
            assert scores(workdir / name / task / "fr.npz")[0].shape[0] == ROWS
        assert (workdir / name / "report.json").is_file() == ("0.5" in name)
    own = json.loads((workdir / "wanda-fr-0.5" / "config.json").read_text())
    assert own["calibration"]["kind"] == "translation"
    assert (own["calibration"]["source"], own["pruning"]["sparsity"]) == ("fr", 0.5)
    assert "sweep" not in own
    assert json.loads((workdir / "random-0.5" / "config.json").read_text())["pruning"][
        "criterion"
    ] == "random"  # fmt: skip


def test_a_variant_scores_as_its_exported_weights_do(done):
    workdir, _ = done
    model = jp.load(NANO)
    folder = workdir / "wanda-fr-0.5" / "checkpoint"
    on = pruned_model(model, folder.parent)
    masks = checkpoint.restore(folder).masks
    expected = jp.masks.apply(model.params, masks)
    jax.tree.map(np.testing.assert_array_equal, dict(on.params), dict(expected))
    for layer in (0, model.config.n_layers - 1):
        one = jax.tree.map(lambda leaf, i=layer: leaf[i], expected["blocks"])
        jax.tree.map(np.testing.assert_array_equal, on.block(layer), one)


def test_the_folder_of_the_model_is_refused_and_left_as_it_was(tmp_path):
    shutil.copytree(NANO, tmp_path / "model")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"--workdir: .*model is the model itself"):
        sweep_from_config(job(model=str(tmp_path / "model")), tmp_path / "model")
    assert sorted(tmp_path.rglob("*")) == before


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


def test_scores_of_other_weights_and_a_broken_report_are_made_again(done, tmp_path):
    """As where a damaged variant was pruned anew, and came out otherwise."""
    workdir = tmp_path / "sweep"
    shutil.copytree(done[0], workdir)
    variant = workdir / "random-0.5"
    for folder in (variant / "nano_nli", workdir / "dense" / "nano_reviews"):
        metrics = json.loads((folder / "evaluation.json").read_text())
        (folder / "evaluation.json").write_text(json.dumps(metrics | {"model_sha256": "7" * 64}))
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
    for name in ("dense", "random-0.5"):
        shutil.copytree(workdir / name, tmp_path / name)
    shutil.copy(workdir / sweep_json.CONFIG, tmp_path)
    masks = (file for file in (tmp_path / "random-0.5" / "checkpoint").rglob("*") if file.is_file())
    halve(max(masks, key=lambda file: file.stat().st_size))
    halve(tmp_path / "dense" / "nano_nli" / "en.npz")
    real, calls = evaluate.score_task, []

    def stops(scorer, asked, facts):
        calls.append(f"{facts['run']}/{asked.task.name}")
        if calls[-1] == "wanda-fr-0.5/nano_reviews":
            raise KeyboardInterrupt
        return real(scorer, asked, facts)

    monkeypatch.setattr(evaluate, "score_task", stops)
    with pytest.raises(KeyboardInterrupt):
        sweep_from_config(job(), tmp_path)
    assert calls == [
        "dense/nano_nli",
        *(f"wanda-fr-0.5/nano_{task}" for task in ("nli", "reviews")),
    ]
    assert is_complete(tmp_path / "random-0.5")
    assert not (tmp_path / "measurements.csv").exists()
    half = contents(tmp_path)
    assert "wanda-fr-0.5/nano_nli/fr.npz" in half

    calls.clear()
    monkeypatch.setattr(evaluate, "score_task", lambda *args: (calls.append(args), real(*args))[1])
    sweep_from_config(job(), tmp_path)
    names = [f"{facts['run']}/{asked.task.name}" for _, asked, facts in calls]
    assert names == ["wanda-fr-0.5/nano_reviews"]
    assert contents(tmp_path) == contents(workdir)


@pytest.mark.parametrize("begun", ['{"identity": {"numpy": "1.0"}}', "{"])
def test_a_variant_that_another_version_began_starts_over(begun, done, tmp_path):
    """As of a worker with other packages or devices that was killed; or with a damaged record."""
    workdir = tmp_path / "sweep"
    shutil.copytree(done[0], workdir)
    shutil.rmtree(workdir / "random-0.5")
    (workdir / "random-0.5/progress").mkdir(parents=True)
    (workdir / "random-0.5/progress/run.json").write_text(begun)
    sweep_from_config(job(), workdir)
    assert contents(workdir) == contents(done[0])


@pytest.fixture
def finished(done, tmp_path):
    """A copy of the finished sweep, of a model that may be changed."""
    shutil.copytree(NANO, tmp_path / "model")
    workdir = tmp_path / "sweep"
    shutil.copytree(done[0], workdir)
    return workdir


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


def test_a_finished_sweep_is_not_shown_for_a_tokenizer_that_changed(finished, tmp_path):
    config = job(model=str(tmp_path / "model"))
    about = json.loads((finished / sweep_json.CONFIG).read_text())["config"]
    told(finished / sweep_json.CONFIG, config=about | {"model": config.model})
    sweep_from_config(config, finished)
    tokenizer = tmp_path / "model" / "tokenizer.json"
    told(tokenizer, normalizer={"type": "Lowercase"})
    with pytest.raises(InputError, match="tokenizer: has changed since the sweep in"):
        sweep_from_config(config, finished)


def swap(workdir, one, other):
    (workdir / one).rename(workdir / "kept")
    (workdir / other).rename(workdir / one)
    (workdir / "kept").rename(workdir / other)


def test_folders_that_were_swapped_are_refused(finished):
    swap(finished, "random-0.5", "wanda-fr-0.5")
    with pytest.raises(InputError, match=r"criterion 'wanda', now 'random'; expected the run of"):
        sweep_from_config(job(), finished)


def test_scores_of_another_variant_are_not_those_of_the_dense_model(finished):
    swap(finished, "dense", "random-0.5")
    runner = Runner(job(), jp.load(NANO), finished)
    assert not any(
        runner.is_whole(one) for one in runner.variants if one.name in ("dense", "random-0.5")
    )


def test_masks_of_another_language_are_not_those_of_a_variant(own, tmp_path):
    shutil.copytree(own[0], tmp_path / "sweep")
    swap(tmp_path / "sweep", "wanda-fr-0.5", "wanda-sw-0.5")
    with pytest.raises(
        InputError, match=r"fr-0\.5 contains a complete run with calibration.source 'sw', now 'fr'"
    ):
        sweep_from_config(job(**OWN), tmp_path / "sweep")


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
        ({"calibration.shots": 2}, "calibration.shots: got 2"),
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


def test_variants_of_a_smaller_grid_are_kept(done, tmp_path, monkeypatch):
    """The samples of the other variants stay in the same shapes, so theirs are the same runs."""
    workdir = tmp_path / "sweep"
    shutil.copytree(done[0], workdir)
    made, real = [], Runner.make
    monkeypatch.setattr(
        Runner, "make", lambda runner, one: (made.append(one.name), real(runner, one))
    )
    grid = "pruning.criterion=magnitude|wanda|random calibration.source=fr pruning.sparsity=0.5"
    sweep_from_config(job(**{"sweep.grid": grid}), workdir)
    assert made == ["magnitude-0.5"]
    assert contents(workdir).items() >= contents(done[0]).items()


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
        ({"pruning.pattern": "1:4"}, r"no product is valid; .*: pruning\.sparsity: got 0\.5"),
        ({"evaluation.tasks": "nano_nli,nano_nli"}, "'nano_nli' is there twice"),
        ({"evaluation.tasks": ""}, "evaluation.tasks: got ''; expected tasks, on which variants"),
        ({"evaluation.languages": "zh"}, "none of zh in task nano_nli"),
        ({"evaluation.perplexity": "nowhere"}, "evaluation.perplexity: got 'nowhere'"),
    ],
)
def test_what_cannot_be_swept_is_refused(tmp_path, fields, message):
    with pytest.raises(InputError, match=message):
        sweep_from_config(job(**fields), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "sacrebleu is not installed"),
        ({"calibration.samples": 10_000}, "calibration.samples"),
        ({"evaluation.perplexity": "nano", "evaluation.perplexity_lines": "5000-6000"}, "perplexity_lines"),
        ({"pruning.allocation": "arithmetic", "pruning.slope": 0.9, "pruning.sparsity": 0.6, "sweep.grid": "seed=0"},
         "arithmetic: got"),
        ({"pruning.ignore": "9/mlp/up"}, "9/mlp/up"),
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


# Own languages, perplexity.

OWN = {
    "evaluation.tasks": "nano_nli", "evaluation.translation": None, "calibration.lines": "0-199",
    "evaluation.perplexity": "nano", "evaluation.perplexity_lines": "300-429",
    "sweep.grid": "pruning.criterion=random|wanda calibration.source=fr|sw|fr,sw pruning.sparsity=0.5",
    "sweep.evaluate": "own",
}  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("own") / "sweep"
    return workdir, sweep_from_config(job(**OWN), workdir)


def test_a_variant_is_asked_in_english_and_its_own_languages(own):
    workdir, _ = own
    asked = {
        folder.name: {
            part: sorted(languages_in(folder / part)) for part in ("nano_nli", "perplexity")
        }
        for folder in workdir.iterdir()
        if folder.is_dir()
    }
    everything = ["en", "fr", "sw"]
    expected = dict.fromkeys(("dense", "random-0.5", "wanda-fr+sw-0.5"), everything)
    expected |= {f"wanda-{code}-0.5": ["en", code] for code in ("fr", "sw")}
    assert asked == {
        name: {"nano_nli": codes, "perplexity": codes} for name, codes in expected.items()
    }
    source = json.loads((workdir / "wanda-fr+sw-0.5" / "config.json").read_text())
    assert source["calibration"]["source"] == "fr,sw"


def languages_in(folder):
    return json.loads((folder / "evaluation.json").read_text())["languages"]


def test_own_languages_become_all_and_only_what_lacks_is_asked(own, monkeypatch, tmp_path):
    shutil.copytree(own[0], tmp_path / "sweep")
    asked = []

    def noted(real, codes_of):
        def call(scorer, one, facts, *rest):
            asked.append((facts["run"], [*codes_of(one)]))
            return real(scorer, one, facts, *rest)

        return call

    tasks = noted(evaluate.score_task, lambda one: one.languages)
    monkeypatch.setattr(evaluate, "score_task", tasks)
    texts = noted(evaluate.measure_texts, lambda by_language: by_language)
    monkeypatch.setattr(evaluate, "measure_texts", texts)
    sweep_from_config(job(**OWN | {"sweep.evaluate": "all"}), tmp_path / "sweep")
    everything = ["en", "fr", "sw"]
    assert asked == [
        (f"wanda-{code}-0.5", everything) for code in ("fr", "sw") for _ in range(2)
    ]  # fmt: skip


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
    masks = [
        checkpoint.restore(workdir / name / "checkpoint").masks for name in ("wanda", "wanda-block")
    ]
    jax.tree.map(np.testing.assert_array_equal, *masks)
    fields = {"recovery.run": str(workdir / "wanda"), "recovery.epochs": 1, "sweep.grid": None}
    alone = base_config()
    with alone.ignore_type():
        alone.update_from_flattened_dict(
            {"model": NANO, "calibration.data": "nano", "calibration.samples": 8} | fields
        )
    recover_from_config(validate(alone, "recover"), tmp_path / "alone")
    reports = [
        json.loads((folder / "report.json").read_text())["digests"]
        for folder in (workdir / "wanda-block", tmp_path / "alone")
    ]
    assert reports[0] == reports[1]
    scored = json.loads((workdir / "wanda-block/nano_nli/evaluation.json").read_text())
    assert scored["model_sha256"] == jp.load(workdir / "wanda-block/hf").source.fingerprint.digest


def test_a_share_makes_the_run_that_its_recovered_variant_reads(recovered, tmp_path):
    sweep_from_config(job(**RECOVERED), tmp_path, shard="2/3")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [
        "wanda",
        "wanda-block",
    ]
    assert not (tmp_path / "wanda/nano_nli").exists()
    for name in ("wanda", "wanda-block"):
        digests = [
            json.loads((folder / name / "report.json").read_text())["digests"]
            for folder in (tmp_path, recovered[0])
        ]
        assert digests[0] == digests[1]


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
    told(workdir / "wanda-block/config.json", recovery={"how": "distil"})
    sealed_report = report["identity"] | {"config.recovery.run": "7" * 64}
    shutil.copy(recovered[0] / "wanda-block/config.json", workdir / "wanda-block")
    write_report(workdir / "wanda-block/report.json", report | {"identity": sealed_report})
    assert not runner.is_whole(one)
    runner.make(one)
    assert runner.is_whole(one)


# Calibration sets.


def test_sets_are_named_by_what_differs_from_the_sweep():
    grid = "calibration.source=fr calibration.shots=4|2 calibration.draw=1/2|2/2 seed=0|1"
    config = job(**{"calibration.samples": 2, "sweep.grid": grid})
    samples = CalibrationSets(config, variants(config).made, jp.load(NANO))
    names = {name.removeprefix("calibration ") for name in samples.digests()}
    assert len(names) == 8
    assert {"translation/fr/draw=1/2", "translation/fr/draw=2/2/shots=2/seed=1"} <= names


# One probe for all sparsities and criteria.


@pytest.mark.parametrize("criterion", ["wanda", "dsnot"])
def test_dense_statistics_are_probed_once_and_give_the_masks_of_a_pass(
    tmp_path, monkeypatch, criterion
):
    (tmp_path / "code").mkdir()
    for name, text in (("a", "x = 1\n" * 9), ("b", "def f():\n    return 2\n")):
        (tmp_path / "code" / f"{name}.py").write_text(text)
    config = job(**{
        "pruning.propagate": "dense", "calibration.samples": 2, "calibration.code": str(tmp_path / "code"),
        "sweep.grid": {
            "pruning.criterion": [criterion, "refined"],
            "calibration.kind": ["translation", "translation_vs_code"],
            "pruning.sparsity": [0.2, 0.5],
        },
    })  # fmt: skip
    model, probed = jp.load(NANO), []
    real = calibration.probe
    monkeypatch.setattr(
        calibration, "probe", lambda *a, **k: (probed.append(a[1][0].role), real(*a, **k))[1]
    )
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
            assert one.keep.keys() == other.keep.keys()
            for path, mask in one.keep.items():
                np.testing.assert_array_equal(mask, other.keep[path])
    assert probed == ["translation", "code"]
    with pytest.raises(InputError, match="propagate is 'block'"):
        next(prune_blocks(model, [], Settings(sparsity=0.5), stats=stats))
