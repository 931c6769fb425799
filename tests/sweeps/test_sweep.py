"""A small sweep end to end: what is left to do, what is kept, and tables against plain recomputation."""

import csv
import dataclasses
import json
import runpy
import shutil
import sys
import xml.etree.ElementTree as ET
from importlib.resources import files
from pathlib import Path

import browser
import jax
import numpy as np
import pytest
from faults.place import halve
from run_json import read_record
from run_scripts import run_here
from scipy.special import softmax
from scipy.stats import binomtest

import jaxprune as jp
from jaxprune.config.validate import base_config, validate
from jaxprune.errors import InputError
from jaxprune.evaluation import evaluate
from jaxprune.evaluation.comparison import compare_runs
from jaxprune.evaluation.scoring import metrics
from jaxprune.evaluation.tasks.questions import load_task, questions
from jaxprune.evaluation.translation.bleu import translation_scores
from jaxprune.files import sealed
from jaxprune.ledger import is_complete
from jaxprune.pruning.loop import prune_blocks
from jaxprune.pruning.settings import Settings
from jaxprune.runs import checkpoint, pruned_model
from jaxprune.sweeps import calibration, page, plan, run, steering, sweep_json
from jaxprune.sweeps.calibration import CalibrationSets
from jaxprune.sweeps.plan import Variant
from jaxprune.sweeps.run import sweep_from_config
from jaxprune.sweeps.tables_json import SweepTables
from jaxprune.sweeps.write import print_tables, rebuild
from jaxprune.tables import points

ROOT = Path(__file__).parents[2]
NANO = str(files("jaxprune").joinpath("nano", "checkpoints", "gpt2"))
ROWS = 24
NAMES = ["dense", "random-0.5", "translation-fr-0.5", "lrp2"]


def job(**fields):
    config = base_config()
    settings = {
        "model": NANO, "calibration.data": "nano", "calibration.samples": 6, "output.hf": False,
        "evaluation.tasks": "nano_nli,nano_reviews", "evaluation.rows": ROWS,
        "sweep.sparsities": "0.5", "sweep.calibrations": "dense,random,translation,lrp2",
        "sweep.languages": "fr", "evaluation.translation": "nano", "evaluation.translation_rows": 6,
    }  # fmt: skip
    with config.ignore_type():
        config.update_from_flattened_dict(settings | fields)
    return validate(config, "sweep")


@pytest.fixture(scope="module", autouse=True)
def few_rows_and_tokens():
    """Less to validate on, and translations of a pruned model, which may find no end, are shorter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steering, "ROWS", 12)
        patch.setattr(run, "NEW_TOKENS", 16)
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
    for file in [*workdir.rglob("*.jsonl"), *workdir.rglob("layers.json")]:
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
            assert files_there == ["en.npz", "files.json", "fr.npz", "metrics.json"]
            assert scores(workdir / name / task / "fr.npz")[0].shape[0] == ROWS
        assert (workdir / name / "report.json").is_file() == ("0.5" in name)
    own = json.loads((workdir / "translation-fr-0.5" / "config.json").read_text())
    assert own["calibration"]["kind"] == "translation"
    assert (own["calibration"]["source"], own["pruning"]["sparsity"]) == ("fr", 0.5)
    assert "sweep" not in own
    assert json.loads((workdir / "random-0.5" / "config.json").read_text())["pruning"][
        "criterion"
    ] == "random"  # fmt: skip


def test_a_variant_scores_as_its_exported_weights_do(done):
    workdir, _ = done
    model = jp.load(NANO)
    folder = workdir / "translation-fr-0.5" / "checkpoint"
    on = pruned_model(model, folder.parent)
    masks = checkpoint.restore(folder).masks
    expected = jp.masks.apply(model.params, masks)
    jax.tree.map(np.testing.assert_array_equal, dict(on.params), dict(expected))
    for layer in (0, model.config.n_layers - 1):
        one = jax.tree.map(lambda leaf, i=layer: leaf[i], expected["blocks"])
        jax.tree.map(np.testing.assert_array_equal, on.block(layer), one)


def test_tables_say_what_a_plain_recomputation_says(done):
    workdir, found = done
    for task in ("nano_nli", "nano_reviews"):
        table = found.tasks[task]
        assert [(row.calibration, row.sparsity) for row in table.rows] == [
            ("random", 0.5), ("translation", 0.5), ("lrp2", None),
        ]  # fmt: skip
        assert list(table.rows[1].languages) == ["fr"]
        raw = []
        for row in table.rows:
            for code, cell in row.languages.items():
                before, labels = scores(workdir / "dense" / task / f"{code}.npz")
                after, _ = scores(workdir / cell.variant / task / f"{code}.npz")
                a, b = before.argmax(1) == labels, after.argmax(1) == labels
                assert cell.accuracy == pytest.approx(b.mean())
                assert cell.difference == pytest.approx(b.mean() - a.mean())
                only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
                p = binomtest(only_b, only_a + only_b).pvalue if only_a + only_b else 1.0
                assert cell.p.mcnemar == pytest.approx(p)
                wilson = binomtest(int(b.sum()), ROWS).proportion_ci(method="wilson")
                assert cell.interval == pytest.approx(tuple(wilson))
                raw.append((p, cell))
                if code == "fr":
                    english, _ = scores(workdir / cell.variant / task / "en.npz")
                    assert cell.rankc == metrics.rankc(english, after).corrected
        ordered = sorted(range(len(raw)), key=lambda i: raw[i][0])
        least = 0.0  # Holm by hand
        for place, i in enumerate(ordered):
            least = max(least, min(1.0, raw[i][0] * (len(raw) - place)))
            assert raw[i][1].p.holm_table == pytest.approx(least)
            assert raw[i][1].significant_table == (least <= 0.05)
        fr = table.rows[1]
        assert fr.mean_non_english.accuracy == fr.languages["fr"].accuracy
        english = table.rows[2].languages["en"]
        assert (english.difference, english.significant) == (0, False)  # lrp2 leaves it alone
    assert found.tasks["nano_nli"].rows[0].languages["en"].significant_table


def test_translations_are_of_the_language_of_the_calibration(done):
    workdir, found = done
    table = found.translation
    assert [(row.calibration, list(row.languages)) for row in table.rows] == [
        ("random", ["fr"]), ("translation", ["fr"]),
    ]  # fmt: skip
    for name, cell in [
        ("dense", table.dense.languages["fr"]),
        ("translation-fr-0.5", table.rows[1].languages["fr"]),
    ]:
        text = (workdir / name / "translation" / "fr.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        assert len(lines) == 6
        again, _ = translation_scores(
            [line["hypothesis"] for line in lines], [line["reference"] for line in lines]
        )
        assert cell.bleu == pytest.approx(again.bleu)


def test_csv_and_markdown_hold_the_cells(done):
    workdir, found = done
    lines = list(csv.DictReader((workdir / "tables.csv").read_text().splitlines()))
    own = [line for line in lines if line["table"] == "own" and line["task"] == "nano_nli"]
    assert len(own) == 2 + 2 + 1 + 2
    for line in own:
        of = found.tasks["nano_nli"]
        row = {(r.calibration, r.sparsity): r for r in of.rows} | {("dense", None): of.dense}
        sparsity = float(line["sparsity"]) if line["sparsity"] else None
        cell = row[line["calibration"], sparsity].languages[line["language"]]
        assert float(line["accuracy"]) == cell.accuracy
        assert line["p_mcnemar"] == ("" if line["calibration"] == "dense" else str(cell.p.mcnemar))
    text = (workdir / "tables.md").read_text()
    cell = found.tasks["nano_nli"].rows[1].languages["fr"]
    low, high = cell.interval
    expected = f"{100 * cell.accuracy:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    assert f"| translation 50% | – | {expected} |" in text
    assert read_record(SweepTables, workdir / "tables.json") == found


TABLES_JSON = {
    "": ["model", "revision", "propagate", "calibration", "tasks", "translation", "seconds", "method"],
    "calibration": ["data", "target", "shots", "samples"],
    "tasks.nano_nli": ["protocol", "dense", "rows", "variants"],
    "tasks.nano_nli.dense": ["languages", "mean_non_english"],
    "tasks.nano_nli.dense.languages.fr": [
        "rows", "accuracy", "interval", "rankc", "probability", "chosen", "without_prior",
        "discrimination",
    ],
    "tasks.nano_nli.rows.0": ["calibration", "sparsity", "languages", "mean_non_english"],
    "tasks.nano_nli.rows.0.languages.fr": [
        "variant", "language", "rows", "accuracy", "interval", "difference", "difference_interval",
        "p", "significant", "rankc", "probability", "chosen", "without_prior", "discrimination",
        "significant_table",
    ],
    "tasks.nano_nli.rows.0.languages.fr.probability": ["mean", "difference", "interval", "p"],
    "tasks.nano_nli.rows.0.languages.fr.p": ["mcnemar", "holm", "holm_table"],
    "tasks.nano_nli.rows.0.mean_non_english": [
        "accuracy", "difference", "difference_interval", "p", "probability",
        "without_prior", "discrimination",
    ],
    "tasks.nano_nli.variants.0": [
        "variant", "calibration", "language", "sparsity", "languages", "mean_non_english",
    ],
    "tasks.nano_nli.variants.0.languages.fr": [
        "rows", "accuracy", "interval", "difference", "difference_interval", "p", "significant",
        "rankc", "probability", "chosen", "without_prior", "discrimination",
    ],
    "tasks.nano_nli.variants.0.languages.fr.p": ["mcnemar", "holm"],
    "translation": ["target", "shots", "data", "signatures", "dense", "rows"],
    "translation.dense.languages.fr": ["bleu", "chrf", "rows"],
    "translation.rows.0": ["calibration", "sparsity", "languages"],
    "translation.rows.0.languages.fr": [
        "variant", "language", "rows", "bleu", "chrf", "bleu_interval", "difference", "p",
        "significant", "significant_table",
    ],
    "translation.rows.0.languages.fr.p": ["bleu", "chrf", "holm", "holm_table"],
    "method": ["alpha", "significant"],
}  # fmt: skip


@pytest.mark.parametrize("path", TABLES_JSON)
def test_the_keys_of_tables_json_and_their_order(done, path):
    value = json.loads((done[0] / "tables.json").read_text())
    for key in filter(None, path.split(".")):
        value = value[int(key) if isinstance(value, list) else key]
    assert list(value) == TABLES_JSON[path]


def test_the_page_tells_each_calibration_and_language(done):
    workdir, found = done
    page = (workdir / "report.html").read_text(encoding="utf-8")
    root = ET.fromstring(page.partition("\n")[2])
    text = "".join(root.itertext())
    for word in ("random 50%", "translation 50%", "lrp2", "nano_reviews", "Translation"):
        assert word in text
    sections = {s.get("id"): s for s in root.iter("section")}
    titles = ["".join(t.itertext()) for t in sections["task-nano_nli"].iter("b")]
    assert titles[:3] == ["en", "fr", "mean of the languages but en"]
    assert "Significantly better than dense: none." in text
    cell = found.tasks["nano_nli"].rows[0].languages["en"]
    worse = [s for s in sections["helped"].iter("span") if s.get("class") == "worse"]
    values = [
        f"{one.variant}, {code}: {points(one.languages[code].difference)}"
        for one in found.tasks["nano_nli"].variants
        for code in ("en", "fr")
    ]
    titles = [title.text for title in sections["task-nano_nli"].iter("title")]
    assert titles[-len(values) :] == values
    assert f"{abs(100 * cell.difference):.1f}**" in "".join("".join(s.itertext()) for s in worse)


@pytest.mark.parametrize(("width", "scheme"), browser.VIEWS, ids=str)
def test_the_page_in_a_browser(done, chromium, width, scheme):
    chromium.open(done[0] / "report.html", width=width, scheme=scheme)
    assert browser.faults(chromium, width) == []
    assert chromium.run("document.querySelectorAll('figure svg[role=img]').length") >= 2


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

    monkeypatch.setattr(run.Runner, "make", refuse)
    again = sweep_from_config(job(), workdir)
    assert again == found
    assert contents(workdir) == before
    print_tables(again, workdir)
    assert "translation 50%" in capsys.readouterr().out


def test_scores_of_other_weights_and_a_broken_report_are_made_again(done, tmp_path):
    """As where a damaged variant was pruned anew, and came out otherwise."""
    workdir = tmp_path / "sweep"
    shutil.copytree(done[0], workdir)
    variant = workdir / "random-0.5"
    for folder in (variant / "nano_nli", workdir / "dense" / "nano_reviews"):
        metrics = json.loads((folder / "metrics.json").read_text())
        (folder / "metrics.json").write_text(json.dumps(metrics | {"model_sha256": "7" * 64}))
        sealed.seal(folder)
    config = job()
    runner = run.Runner(config, jp.load(NANO), workdir)
    whole = {one.name: runner.is_whole(one) for one in plan.variants(config)}
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

    def stops(scorer, asked, about, *rest):
        calls.append(f"{about['variant']}/{asked.task.name}")
        if calls[-1] == "translation-fr-0.5/nano_reviews":
            raise KeyboardInterrupt
        return real(scorer, asked, about, *rest)

    monkeypatch.setattr(evaluate, "score_task", stops)
    with pytest.raises(KeyboardInterrupt):
        sweep_from_config(job(), tmp_path)
    assert calls == [
        "dense/nano_nli",
        *(f"translation-fr-0.5/nano_{task}" for task in ("nli", "reviews")),
    ]
    assert is_complete(tmp_path / "random-0.5")
    assert not (tmp_path / "tables.json").exists()
    half = contents(tmp_path)
    assert "translation-fr-0.5/nano_nli/fr.npz" in half

    calls.clear()
    monkeypatch.setattr(evaluate, "score_task", lambda *args: (calls.append(args), real(*args))[1])
    sweep_from_config(job(), tmp_path)
    names = [f"{about['variant']}/{asked.task.name}" for _, asked, about, *_ in calls]
    assert names == ["translation-fr-0.5/nano_reviews", "lrp2/nano_nli", "lrp2/nano_reviews"]
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
        "nano_reviews en", "nano_reviews fr", "translation fr", "lrp2 en", "lrp2 fr",
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


@pytest.mark.parametrize("pair", [("random-0.5", "translation-fr-0.5"), ("dense", "lrp2")])
def test_tables_are_not_made_of_folders_that_were_swapped(pair, finished):
    swap(finished, *pair)
    message = "/metrics.json: scores of the variant {}; expected those of {}"
    with pytest.raises(InputError, match="|".join(message.format(*p) for p in (pair, pair[::-1]))):
        rebuild(finished)
    runner = run.Runner(job(), jp.load(NANO), finished)
    if pair[0] == "dense":
        assert not any(runner.is_whole(Variant(name)) for name in pair)
        return
    with pytest.raises(InputError, match=r"criterion 'wanda', now 'random'; allowed: the run of"):
        sweep_from_config(job(), finished)


def test_masks_of_another_language_are_not_those_of_a_variant(own, tmp_path):
    shutil.copytree(own[0], tmp_path / "sweep")
    swap(tmp_path / "sweep", "translation-fr-0.5", "translation-sw-0.5")
    with pytest.raises(
        InputError, match=r"fr-0\.5 contains a complete run with calibration '.*, now '"
    ):
        sweep_from_config(job(**OWN), tmp_path / "sweep")


def test_scores_of_other_rows_are_not_those_of_a_variant(finished):
    folder = finished / "dense" / "nano_nli"
    identity = json.loads((folder / "metrics.json").read_text())["identity"]
    told(folder / "metrics.json", identity=identity | {"content fr": "7" * 64})
    sealed.seal(folder)
    assert not run.Runner(job(), jp.load(NANO), finished).is_whole(Variant("dense"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seed": 1}, "seed: got 1; .* contains a sweep with 0"),
        ({"calibration.shots": 2}, "calibration.shots: got 2"),
        ({"evaluation.translation_rows": 7}, "evaluation.translation_rows: got 7"),
    ],
)
def test_a_workdir_of_another_sweep_is_refused(done, fields, message):
    with pytest.raises(InputError, match=message):
        sweep_from_config(job(**fields), done[0])


def test_more_sparsities_calibrations_and_languages_join(tmp_path):
    sweep_json.write_sweep(job(), tmp_path, {})
    more = {"sweep.sparsities": "0.5,0.1", "sweep.calibrations": "dense,magnitude"}
    sweep_json.check_same_sweep(job(**more, **{"sweep.languages": "fr,de"}), tmp_path)
    somewhere = job(**{"calibration.code": "somewhere"})
    sweep_json.check_same_sweep(somewhere, tmp_path)
    sweep_json.write_sweep(somewhere, tmp_path, {})
    with pytest.raises(InputError, match=r"calibration\.code: got 'elsewhere'"):
        sweep_json.check_same_sweep(job(**{"calibration.code": "elsewhere"}), tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"calibration.draw": "1/2", "sweep.draws": 2},
            "calibration.draw: got '1/2'; allowed: none, with sweep.draws",
        ),
        ({"pruning.pattern": "2:4", "sweep.sparsities": "0.3"}, "pruning.sparsity: got 0.3"),
        ({"sweep.calibrations": "translation_vs_code"}, "calibration.code: not set"),
        ({"evaluation.tasks": "nano_nli,nano_nli"}, "'nano_nli' is there twice"),
        ({"evaluation.languages": "zh"}, "none of zh in task nano_nli"),
        (
            {"sweep.calibrations": "translation", "sweep.languages": "en"},
            "sweep.languages: got 'en'; allowed: others than en, the target",
        ),
        ({"evaluation.perplexity": "nowhere"}, "evaluation.perplexity: got 'nowhere'"),
        (
            {"sweep.evaluate": "own", "evaluation.languages": "de"},
            "translation-fr-0.5 would be evaluated in no",
        ),
        (
            {"sweep.mixtures": "fr+fr"},
            r"sweep.mixtures: got 'fr\+fr'; allowed: distinct languages joined by \+",
        ),
        ({"sweep.mixtures": "fr,de"}, "sweep.mixtures: got 'fr,de'"),
        (
            {"evaluation.protocol": "lm_eval", "evaluation.tasks": "xnli"},
            "evaluation.protocol: got 'lm_eval'; allowed: paper, official, with lrp2",
        ),
        (
            {
                "calibration.combine": "weights",
                "calibration.weights": "fr:2,ru:1",
                "sweep.mixtures": "fr+sw",
            },
            "weights: got fr,ru; allowed: fr,sw, the languages of the samples",
        ),
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
        ({"pruning.allocation": "arithmetic", "pruning.slope": 0.9, "sweep.sparsities": "0.6"}, "arithmetic: got"),
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


@pytest.mark.parametrize("value", ["", "0", "1", "0.3,0.3", "0.3,x", "0.3,", None])
def test_sparsities_that_are_refused(value):
    with pytest.raises(InputError, match=r"sweep\.sparsities"):
        job(**{"sweep.sparsities": value})


OWN_TASK = """
name = "own"
data = "ROWS"
languages = ["fr"]
labels = ["no", "yes"]
[label]
field = "label"
[paper]
split = "test"
template = "{text} {option}"
options = ["non", "si"]
"""


def test_local_rows_without_validation_rows_are_refused_for_lrp2(tmp_path):
    (tmp_path / "fr.jsonl").write_text("")
    with pytest.raises(InputError, match=r"evaluation\.data: .* {split}"):
        plan.check_sweep(job(**{"evaluation.data": str(tmp_path)}))
    data = str(tmp_path / "{split}" / "{lang}.jsonl")
    steering.check_steering(job(**{"evaluation.data": data}))
    own = tmp_path / "own.toml"
    for rows in ("{lang}.jsonl", "{split}-{lang}.jsonl"):
        own.write_text(OWN_TASK.replace("ROWS", rows))
        config = job(**{"evaluation.tasks": str(own)})
        if "{split}" in rows:
            steering.check_steering(config)
        else:
            with pytest.raises(InputError, match=rf"{own}: .* {{split}}"):
                steering.check_steering(config)
    (tmp_path / "validation-fr.jsonl").write_text(
        '{"text": "oui", "label": 1}'
    )  # not those of `split`
    [row] = steering.validation_rows(load_task(str(own)), "fr", "paper", None, 0)
    assert row.options[0].continuation.startswith("oui")


def test_validation_rows_are_not_those_that_are_evaluated():
    task = load_task("nano_nli")
    chosen = steering.validation_rows(task, "fr", "paper", None, 0)
    asked = questions(task, "fr", rows=1000)
    assert len(chosen) == 12
    assert not {q.options for q in chosen} & {q.options for q in asked}


# Mixtures, own languages, perplexity.

OWN = {
    "evaluation.tasks": "nano_nli", "evaluation.translation": None, "calibration.lines": "0-199",
    "evaluation.perplexity": "nano", "evaluation.perplexity_lines": "300-429",
    "sweep.calibrations": "dense,random,translation", "sweep.languages": "fr,sw",
    "sweep.mixtures": "fr+sw", "sweep.evaluate": "own",
}  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("own") / "sweep"
    return workdir, sweep_from_config(job(**OWN), workdir)


def test_a_variant_is_asked_in_english_and_its_own_languages(own):
    workdir, found = own
    asked = {
        folder.name: {part: sorted(kept_in(folder / part)) for part in ("nano_nli", "perplexity")}
        for folder in workdir.iterdir()
        if folder.is_dir()
    }
    everything, own_of = ["en", "fr", "sw"], {"fr": ["en", "fr"], "sw": ["en", "sw"]}
    expected = {"dense": everything, "random-0.5": everything, "translation-fr+sw-0.5": everything}
    expected |= {f"translation-{code}-0.5": codes for code, codes in own_of.items()}
    assert asked == {
        name: {"nano_nli": codes, "perplexity": codes} for name, codes in expected.items()
    }
    source = json.loads((workdir / "translation-fr+sw-0.5" / "config.json").read_text())
    assert source["calibration"]["source"] == "fr,sw"
    task = found.tasks["nano_nli"]
    assert [(row.calibration, row.mixture, list(row.languages)) for row in task.rows] == [
        ("random", None, everything), ("translation", None, ["fr", "sw"]),
        ("translation", "fr+sw", ["fr", "sw"]),
    ]  # fmt: skip
    means = {one.variant: one.mean_non_english for one in task.variants}
    assert [name for name, mean in means.items() if mean is None] == [
        "translation-fr-0.5", "translation-sw-0.5",
    ]  # fmt: skip
    alone = {one.variant: one for one in task.variants}["translation-sw-0.5"]
    assert alone.languages["sw"].difference == task.rows[1].languages["sw"].difference


def kept_in(folder):
    return json.loads((folder / "metrics.json").read_text())["languages"]


def test_what_was_not_asked_is_empty_in_every_table(own):
    workdir, found = own
    text = (workdir / "tables.md").read_text()
    cells = {
        line.split(" | ")[0].removeprefix("| "): [c.strip(" |") for c in line.split(" | ")[1:]]
        for line in text.partition("Every variant in every language, points")[2].splitlines()
        if line.startswith("| translation-")
    }
    assert [cell == "–" for cell in cells["translation-fr-0.5"][:3]] == [False, False, True]
    assert "| translation fr+sw 50% | – | " in text
    lines = list(csv.DictReader((workdir / "tables.csv").read_text().splitlines()))
    of_sw = [one for one in lines if (one["table"], one["calibration_language"]) == ("all", "sw")]
    assert {(one["task"], one["language"]) for one in of_sw} == {
        (task, code) for task in ("nano_nli", "perplexity") for code in ("en", "sw")
    }
    root = ET.fromstring((workdir / "report.html").read_text(encoding="utf-8").partition("\n")[2])
    titles = [title.text for title in root.iter("title")]
    assert any(title.startswith("translation-sw-0.5, en: ") for title in titles)
    assert not any(title.startswith("translation-sw-0.5, fr: ") for title in titles)
    assert read_record(SweepTables, workdir / "tables.json") == found


def test_probabilities_and_perplexities_in_the_tables(own):
    workdir, found = own
    cell = found.tasks["nano_nli"].rows[1].languages["fr"]
    changes = []
    for name in ("dense", "translation-fr-0.5"):
        scored, labels = scores(workdir / name / "nano_nli" / "fr.npz")
        changes.append(softmax(np.float64(scored), axis=1)[np.arange(ROWS), labels])
    assert cell.probability.mean == pytest.approx(changes[1].mean())
    assert cell.probability.difference == pytest.approx((changes[1] - changes[0]).mean())
    text = (workdir / "tables.md").read_text()
    for name, title in (
        ("without_prior", "Accuracy without the options' priors, %"),
        ("discrimination", "Right option preferred within groups, % (chance 50)"),
    ):
        measure = getattr(cell, name)
        compared = compare_runs(workdir / "dense", workdir / "translation-fr-0.5")
        expected = getattr(compared.tasks["nano_nli"].languages["fr"], name)
        assert (measure.mean, measure.interval) == (expected.mean.b, expected.interval)
        assert f"{100 * measure.mean:.1f} (" in text[text.index(title) :]
    kept = {one.variant: one.languages for one in found.perplexity.variants}
    for name in ("translation-fr-0.5", "translation-fr+sw-0.5"):
        before, after = (
            kept_in(workdir / run / "perplexity")["fr"]["perplexity"] for run in ("dense", name)
        )
        assert (kept[name]["fr"].perplexity, kept[name]["fr"].ratio) == (after, after / before)
    assert "sw" not in kept["translation-fr-0.5"]
    ratio = kept["translation-fr-0.5"]["fr"]
    low, high = ratio.interval
    assert low < ratio.ratio < high
    shown = f"{ratio.perplexity:,.2f} (×{ratio.ratio:.2f} [{low:.2f}, {high:.2f}])"
    shown = f"| translation 50% | – | {shown} |"
    assert shown in (workdir / "tables.md").read_text()


def test_variants_calibrated_on_the_text_that_is_measured_are_named(own, tmp_path):
    shutil.copytree(own[0], tmp_path / "sweep")
    folder = tmp_path / "sweep" / "translation-fr-0.5" / "perplexity"
    told(folder / "metrics.json", calibration_overlap={"en": 3, "fr": 7})
    sealed.seal(folder)
    found = rebuild(tmp_path / "sweep")
    note = "Calibration sets that contain lines of this text: translation-fr-0.5 (en fr)."
    for name in ("tables.md", "report.html"):
        assert note in (tmp_path / "sweep" / name).read_text(encoding="utf-8")
        assert "Calibration sets that contain" not in (own[0] / name).read_text(encoding="utf-8")
    assert read_record(SweepTables, tmp_path / "sweep" / "tables.json") == found


def test_a_page_of_the_dense_model_alone(own):
    _, found = own
    task = dataclasses.replace(found.tasks["nano_nli"], rows=(), variants=())
    alone = dataclasses.replace(
        found, tasks={"nano_nli": task}, perplexity=dataclasses.replace(found.perplexity, variants=())
    )  # fmt: skip
    written = str(page.document(alone))
    assert "Perplexity" in written
    assert "Elsewhere" not in written


def test_tables_come_again_from_the_small_files_alone(own, tmp_path, monkeypatch, capfd):
    """Without masks, and where neither the model nor any text is."""
    workdir, found = own
    there = tmp_path / "there"
    for pattern in ("sweep.json", "*/nano_nli/*", "*/perplexity/*"):
        for file in workdir.glob(pattern):
            (there / file.relative_to(workdir)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, there / file.relative_to(workdir))
    about = json.loads((there / sweep_json.CONFIG).read_text())
    nowhere = {"model": "gone", "calibration.data": "gone", "evaluation.perplexity": "gone"}
    (there / sweep_json.CONFIG).write_text(
        json.dumps(about | {"config": about["config"] | nowhere})
    )
    done = run_here(monkeypatch, capfd, "report", there)
    assert done.returncode == 0, done.stderr
    again = read_record(SweepTables, there / "tables.json")
    assert again.tasks == found.tasks
    assert again.perplexity.variants == found.perplexity.variants
    assert (there / "report.html").is_file()
    assert not (there / "dense" / "report.html").exists()
    refused = run_here(monkeypatch, capfd, "report", there, "--out", tmp_path / "page.html")
    assert (refused.returncode, "is a sweep; allowed: neither" in refused.stderr) == (2, True)
    shutil.rmtree(there / "translation-fr-0.5")
    assert rebuild(there).missing == ("translation-fr-0.5",)


def test_tables_are_of_the_languages_of_the_config_alone(own, tmp_path):
    shutil.copytree(own[0], tmp_path / "sweep")
    fewer = job(**OWN | {"sweep.languages": "fr", "sweep.mixtures": None})
    sweep_json.write_sweep(fewer, tmp_path / "sweep", {})
    found = rebuild(tmp_path / "sweep")
    assert found.missing is None
    random = next(one for one in found.tasks["nano_nli"].variants if one.variant == "random-0.5")
    assert [*random.languages] == ["en", "fr"]
    assert random.mean_non_english.difference == random.languages["fr"].difference
    more = job(**OWN | {"sweep.languages": "fr,sw,de"})
    sweep_json.write_sweep(more, tmp_path / "sweep", {"nano_nli de": "7" * 64})
    with pytest.raises(InputError, match="dense: no scores of nano_nli in de; expected those of"):
        rebuild(tmp_path / "sweep")


def test_the_languages_of_the_data_are_recorded(tmp_path):
    config = job(**{"sweep.languages": None})
    sweep_json.write_sweep(config, tmp_path, {})
    fields = json.loads((tmp_path / sweep_json.CONFIG).read_text())["config"]
    assert fields["sweep.languages"] == ",".join(plan.calibration_languages(config))
    assert "sw" in fields["sweep.languages"]


def test_own_languages_become_all_and_only_what_lacks_is_asked(own, monkeypatch, tmp_path):
    shutil.copytree(own[0], tmp_path / "sweep")
    asked = []

    def noted(real, codes_of):
        def call(scorer, one, about, *rest):
            asked.append((about["variant"], [*codes_of(one)]))
            return real(scorer, one, about, *rest)

        return call

    tasks = noted(evaluate.score_task, lambda one: one.languages)
    monkeypatch.setattr(evaluate, "score_task", tasks)
    texts = noted(evaluate.measure_perplexity, lambda by_language: by_language)
    monkeypatch.setattr(evaluate, "measure_perplexity", texts)
    found = plan.jobs(Variant("translation", "fr", 0.5), job(**OWN | {"sweep.evaluate": "all"}))
    assert found == {"nano_nli": ["en", "fr", "sw"], "perplexity": ["en", "fr", "sw"]}
    only = job(**OWN | {"sweep.evaluate": "all"})
    sweep_json.check_same_sweep(only, tmp_path / "sweep")
    sweep_json.write_sweep(only, tmp_path / "sweep", {})
    left = [Variant("translation", "fr", 0.5), Variant("translation", "fr+sw", 0.5)]
    runner = run.Runner(only, jp.load(NANO), tmp_path / "sweep")
    for variant in left:
        runner.make(variant)
    assert asked == [("translation-fr-0.5", ["en", "fr", "sw"])] * 2


# One probe for all sparsities and criteria.


@pytest.mark.parametrize("criterion", ["wanda", "dsnot"])
def test_dense_statistics_are_probed_once_and_give_the_masks_of_a_pass(
    tmp_path, monkeypatch, criterion
):
    (tmp_path / "code").mkdir()
    for name, text in (("a", "x = 1\n" * 9), ("b", "def f():\n    return 2\n")):
        (tmp_path / "code" / f"{name}.py").write_text(text)
    config = job(**{
        "pruning.propagate": "dense", "calibration.samples": 2, "sweep.sparsities": "0.2,0.5",
        "sweep.calibrations": "translation,translation_vs_code",
        "calibration.code": str(tmp_path / "code"), "pruning.criterion": criterion,
    })  # fmt: skip
    model, probed = jp.load(NANO), []
    real = calibration.probe
    monkeypatch.setattr(
        calibration, "probe", lambda *a, **k: (probed.append(a[1][0].role), real(*a, **k))[1]
    )
    samples = CalibrationSets(config, model, tmp_path)
    for variant in plan.variants(config)[1:]:
        batches, stats = samples.batches(variant), samples.stats(variant)
        if variant.sparsity != 0.5:
            continue  # the same statistics
        own = plan.variant_config(config, variant)
        settings = Settings(
            criterion=own.pruning.criterion, sparsity=variant.sparsity, propagate="dense"
        )
        expected = prune_blocks(model, batches, settings, progress=False)
        got = prune_blocks(model, batches, settings, progress=False, stats=stats)
        for one, other in zip(expected, got, strict=True):
            assert one.keep.keys() == other.keep.keys()
            for path, mask in one.keep.items():
                np.testing.assert_array_equal(mask, other.keep[path])
    assert probed == ["translation", "code"]
    again = CalibrationSets(config, model, tmp_path)  # from disk
    again.stats(Variant("translation", "fr", 0.2))
    assert probed == ["translation", "code"]
    with pytest.raises(InputError, match="propagate is 'block'"):
        next(prune_blocks(model, [], Settings(sparsity=0.5), stats=stats))


@pytest.mark.parametrize(
    "fields", [{}, {"pruning.propagate": "dense", "pruning.criterion": "sparsegpt"}]
)
def test_statistics_that_depend_on_what_is_pruned_or_are_large_are_not_shared(tmp_path, fields):
    config = job(**{"calibration.samples": 2}, **fields)
    samples = CalibrationSets(config, jp.load(NANO), tmp_path)
    variant = Variant("translation", "fr", 0.5)
    assert samples.stats(variant) is None
    assert {batch.role for batch in samples.batches(variant)} == {"translation"}


# Plans.


def test_a_plan_has_every_variant_dense_first():
    config = job(**{
        "sweep.calibrations": "lrp2,translation,monolingual,magnitude,random",
        "sweep.sparsities": "0.3,0.5", "sweep.languages": "en,fr",
    })  # fmt: skip
    assert [variant.name for variant in plan.variants(config)] == [
        "dense", "random-0.3", "random-0.5", "magnitude-0.3", "magnitude-0.5", "monolingual-en-0.3",
        "monolingual-en-0.5", "monolingual-fr-0.3", "monolingual-fr-0.5", "translation-fr-0.3",
        "translation-fr-0.5", "lrp2",
    ]  # fmt: skip


def test_languages_that_data_lacks_are_named():
    config = job(**{"evaluation.languages": "fr,zh", "evaluation.perplexity": "nano"})
    names = ("nano_nli", "nano_reviews", "perplexity")
    assert plan.not_evaluated(config) == [
        f"{one}: not in zh, as its data lacks them" for one in names
    ]


def test_mixtures_come_after_languages_and_not_with_the_target_where_it_is_translated_into():
    config = job(**{
        "sweep.calibrations": "dense,translation,monolingual", "sweep.languages": "fr",
        "sweep.mixtures": "fr+sw,en+fr",
    })  # fmt: skip
    assert [variant.name for variant in plan.variants(config)] == [
        "dense", "monolingual-fr-0.5", "monolingual-fr+sw-0.5", "monolingual-en+fr-0.5",
        "translation-fr-0.5", "translation-fr+sw-0.5",
    ]  # fmt: skip
    assert plan.evaluation_languages(config) == ["en", "fr", "sw"]


def test_settings_that_a_variant_cannot_use_are_not_its_own():
    config = job(**{
        "pruning.criterion": "dsnot", "pruning.start": "ria", "sweep.mixtures": "fr+sw",
        "sweep.calibrations": "random,monolingual", "calibration.combine": "weights",
        "calibration.weights": "fr:2,sw:1",
    })  # fmt: skip
    plan.check_sweep(config)
    pruned = [one for one in plan.variants(config) if one.sparsity]
    found = {one.name: plan.variant_config(config, one) for one in pruned}
    assert {name: (one.pruning.start, one.calibration.weights) for name, one in found.items()} == {
        "random-0.5": (None, None), "monolingual-fr-0.5": ("ria", None),
        "monolingual-fr+sw-0.5": ("ria", (("fr", 2.0), ("sw", 1.0))),
    }  # fmt: skip


@pytest.mark.parametrize(("model", "count"), [("a-model", 27), ("Some-Coder", 37)])
def test_sweep_real_is_a_valid_sweep(model, count, tmp_path):
    codes = ("en", "fr", "ru", "sw", "zh")
    for folder, ending in (("flores", "txt"), ("xnli", "jsonl")):
        (tmp_path / folder).mkdir()
        for code in codes:
            (tmp_path / folder / f"{code}.{ending}").touch()
    get_config = runpy.run_path(str(ROOT / "configs" / "sweep_real.py"))["get_config"]
    config = validate(get_config(f"{model},{tmp_path}"), "sweep")
    plan.check_sweep(config)
    found = plan.variants(config)
    assert len(found) == count
    everything = ["en", "fr", "ru", "zh", "sw"]
    for variant, asked in (
        (found[0], everything), (Variant("magnitude", None, 0.5), everything),
        (Variant("translation", "ru", 0.3), ["en", "ru"]),
        (Variant("monolingual", "en", 0.3), ["en"]),
        (Variant("translation", "fr+ru+zh+sw", 0.3), everything),
    ):  # fmt: skip
        assert variant in found
        assert plan.jobs(variant, config) == {"xnli": asked, "perplexity": asked}


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "paper").glob("*.py")), ids=str)
def test_configs_of_the_paper_are_valid_sweeps(path):
    config = validate(runpy.run_path(str(path))["get_config"](), "sweep")
    plan.check_sweep(config)
    found = plan.variants(config)
    refined = [one for one in found if one.calibration == "translation_vs_code"]
    assert len(refined) == (5 if path.stem == "bloom_3b" else 0)
    assert plan.jobs(found[0], config) == {
        "xnli": ["en", "fr", "es", "zh", "hi", "sw"], "marc2": ["en", "fr", "es", "zh"],
        "translation": ["fr", "es", "zh", "hi", "sw"],
    }  # fmt: skip
    assert plan.jobs(Variant("translation", "sw", 0.3), config)["translation"] == ["sw"]
    text = path.read_text().split('"""')[1]
    assert f"jaxprune sweep --config paper/{path.stem} --workdir" in text
