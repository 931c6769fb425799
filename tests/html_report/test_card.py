"""scripts/report.py puts what was measured into the model card: the figures of the comparison, of these models only."""

import itertools
import json
import math
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from report_runs import WEIGHTS, evaluate, write_json
from run_scripts import run_here

from jaxprune.config.validate import base_config, validate
from jaxprune.evaluation.comparison import compare_runs
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs.pipeline import prune_from_config
from jaxprune.runs.verify import verify

PERPLEXITY = {"en": (20.0, 25.5), "sw": (66.5, 1234.0)}


def scores_of(folder, side, model):
    """An evaluation of a model with this digest."""
    evaluate(folder, side)
    shutil.rmtree(folder / "translation")
    languages = {
        code: {
            "perplexity": p[side],
            "tokens": 9000,
            "windows": 2,
            "bits_per_byte": math.log2(p[side]) / 4,
            "by_window": [-math.log(p[side]) - 0.01 * side, -math.log(p[side]) + 0.01 * side],
        }
        for code, p in PERPLEXITY.items()
    }
    write_json(folder / "perplexity" / "metrics.json", {"languages": languages})
    for task in ("xnli", "perplexity"):
        file = folder / task / "metrics.json"
        write_json(file, json.loads(file.read_text()) | {"model_sha256": model})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(dense, pruned): evaluations of the dense model, and a pruned run with its own."""
    folder = tmp_path_factory.mktemp("runs")
    config = base_config()
    config.model = str(CHECKPOINTS["bloom"])
    config.pruning.criterion = "magnitude"
    report = prune_from_config(validate(config), folder / "pruned")
    scores_of(folder / "dense", 0, report["models"]["dense"])
    scores_of(folder / "pruned", 1, report["models"]["hf"])
    return folder / "dense", folder / "pruned"


@pytest.fixture
def runs(made, tmp_path):
    return [shutil.copytree(folder, tmp_path / folder.name) for folder in made]


def table(text, title):
    """First cell of each row → the others, of the first table under a title."""
    lines = iter(text.partition(title)[2].splitlines())
    lines = itertools.dropwhile(lambda line: not line.startswith("|"), lines)
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in itertools.takewhile(lambda line: line.startswith("|"), lines)
    ]
    return rows[0][1:], {row[0]: row[1:] for row in rows[2:]}


def test_the_card_has_the_figures_of_the_comparison(runs, monkeypatch, capfd):
    dense, pruned = runs
    file = pruned / "hf" / "README.md"
    assert "Files of the weights: " in file.read_text()  # as the run wrote it
    done = run_here(monkeypatch, capfd, "report", pruned, "--against", dense)
    assert done.stdout == f"written: {pruned / 'report.html'}\nwritten: {file}\n"
    page = (pruned / "report.html").read_text()
    for text in (page, file.read_text()):  # neither names a folder of this machine
        assert str(pruned.parent) not in text
        assert str(Path(CHECKPOINTS["bloom"]).parent) not in text
    size = sum(file.stat().st_size for file in (pruned / "hf").glob("*.safetensors"))
    assert f"Files of the weights: {size / 1e6:.1f} MB, unchanged." in file.read_text()
    assert f"<dd>{size / 1e6:.1f} MB, unchanged</dd>" in page
    assert verify(pruned, progress=False) == []
    card = ModelCard.load(file)
    compared = compare_runs(dense, pruned).tasks["xnli"]
    header, rows = table(card.text, "### `xnli`")
    assert header == [
        "rows",
        "dense",
        "interval",
        "this model",
        "interval",
        "change",
        "interval",
        "",
    ]
    assert [*rows] == [*compared.languages, "mean", "mean non-en"]
    for code, figure in compared.languages.items():
        (low, high), change = figure.accuracy_interval.b, 100 * figure.difference
        shown = rows[code]
        assert shown[:2] == ["400", f"{100 * figure.accuracy.a:.1f}"]
        assert shown[3:5] == [
            f"{100 * figure.accuracy.b:.1f}",
            f"[{100 * low:.1f}, {100 * high:.1f}]",
        ]
        assert float(shown[5].replace("\N{MINUS SIGN}", "-")) == pytest.approx(change, abs=0.051)
        sign = "better" if change > 0 else "worse"
        assert shown[7] == (sign if figure.significant else "no significant change")
    header, apart = table(card.text, "Right option preferred within groups")
    assert header == ["dense", "this model", "change", "95% interval", "p boot"]
    kept = compared.languages["sw"].discrimination.mean
    assert apart["sw"][:2] == [f"{100 * kept.a:.1f}", f"{100 * kept.b:.1f}"]
    assert {rows[code][7] for code in ("fr", "sw", "es")} == {
        "better", "worse", "no significant change",
    }  # fmt: skip
    found = {one.dataset_config: one.metric_value for one in card.data.eval_results}
    assert found == {c: round(f.accuracy.b, 4) for c, f in compared.languages.items()}
    _, perplexities = table(card.text, "## Perplexity by language")
    before, after = PERPLEXITY["sw"]
    reach = math.exp(12.7062 * 0.01)  # Student's t of two windows
    bounds = f"[{after / before / reach:.3f}, {after / before * reach:.3f}]"
    assert perplexities["sw"] == [
        "9,000",
        "66.5",
        "1,234",
        "18.556",
        bounds,
        "1.514",
        "2.567",
        "worse",
    ]
    assert perplexities["en"][-1] == "worse"
    assert "Chance is 33.3%" in card.text


def test_a_card_says_that_the_dense_model_was_evaluated_in_another_dtype(runs, monkeypatch, capfd):
    for run, dtype in zip(runs, ("float32", "bfloat16"), strict=True):
        file = run / "xnli" / "metrics.json"
        write_json(file, json.loads(file.read_text()) | {"identity": {"dtype": dtype}})
    run_here(monkeypatch, capfd, "report", runs[1], "--against", runs[0])
    text = (runs[1] / "hf" / "README.md").read_text()
    note = (
        "xnli: the dense model was evaluated in float32, this model in bfloat16; "
        "the changes include the effect of rounding."
    )
    assert f"## Accuracy by language\n\n{note}\n\n" in text


def test_of_another_model_nothing_is_told(runs, monkeypatch, capfd):
    dense, pruned = runs
    file = dense / "xnli" / "metrics.json"
    write_json(file, json.loads(file.read_text()) | {"model_sha256": "7" * 64})
    for arguments in (["--against", dense], []):
        assert run_here(monkeypatch, capfd, "report", pruned, *arguments).returncode == 0
        text = (pruned / "hf" / "README.md").read_text()
        header, rows = table(text, "### `xnli`")
        without_prior = ["chosen", "without prior", "within groups", "95% interval"]
        assert header == ["rows", "this model", "95% interval", "", *without_prior]
        assert {*WEIGHTS} <= rows.keys()
        assert "The dense model is not evaluated here" in text
        assert table(text, "## Perplexity by language")[0] == ["tokens", "perplexity", "bits/byte"]


def test_a_card_that_is_not_ours_is_left_and_that_is_said(runs, monkeypatch, capfd):
    _, pruned = runs
    file = pruned / "hf" / "README.md"
    file.write_text("mine")
    done = run_here(monkeypatch, capfd, "report", pruned)
    assert done.returncode == 0
    assert done.stdout.endswith(f"unchanged: {file}: edited since jaxprune wrote it\n")
    assert file.read_text() == "mine"
    shutil.rmtree(pruned / "hf")  # it was moved away: there is a page of the run all the same
    done = run_here(monkeypatch, capfd, "report", pruned)
    assert (done.returncode, done.stdout) == (0, f"written: {pruned / 'report.html'}\n")
