"""scripts/report.py puts what was measured into the model card: the figures of the comparison, of these models only."""

import itertools
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from jobs import job
from recount import recount
from report_runs import WEIGHTS, evaluate, write_perplexity
from run_scripts import run_here

from jaxprune.evaluation.in_memory import compare
from jaxprune.nano import CHECKPOINTS
from jaxprune.pages.job import run_from_config

PERPLEXITY = {"en": (20.0, 25.5), "sw": (66.5, 1234.0)}


def evaluated(folder, side, model):
    """An evaluation of a model with this digest."""
    evaluate(folder, side, model_sha256=model)
    parts = {
        code: -math.log(pair[side]) + np.linspace(-0.01, 0.01, 12) * (1 + side)
        for code, pair in PERPLEXITY.items()
    }
    write_perplexity(folder, parts, model_sha256=model)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(dense, pruned): evaluations of the dense model, and a pruned run with its own."""
    folder = tmp_path_factory.mktemp("runs")
    config = job(CHECKPOINTS["bloom"], pruning__criterion="magnitude")
    report = run_from_config(config, folder / "pruned")
    evaluated(folder / "dense", 0, report["models"]["dense"])
    evaluated(folder / "pruned", 1, report["models"]["hf"])
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
    assert "- files of the weights: " in file.read_text()  # as the run wrote it
    done = run_here(monkeypatch, capfd, "report", pruned, "--against", dense)
    assert done.stdout == f"written: {pruned / 'report.html'}\nwritten: {file}\n"
    page = (pruned / "report.html").read_text()
    for text in (page, file.read_text()):  # neither names a folder of this machine
        assert str(pruned.parent) not in text
        assert str(Path(CHECKPOINTS["bloom"]).parent) not in text
    size = sum(file.stat().st_size for file in (pruned / "hf").glob("*.safetensors"))
    assert f"- files of the weights: {size / 1e6:.1f} MB, unchanged\n" in file.read_text()
    assert f"<dd>{size / 1e6:.1f} MB, unchanged</dd>" in page
    assert recount(pruned) == []
    card = ModelCard.load(file)
    compared = compare(dense, pruned)
    changes = [row for row in compared.changes if row.measure == "accuracy"]
    header, rows = table(card.text, "### xnli: accuracy, %")
    assert header == ["n", "dense", "pruned", "change", "95% interval", "p", "p Holm", ""]
    assert "`dense` is the dense model, `pruned` this one." in card.text
    assert [*rows] == [*WEIGHTS, "mean", "mean non-en"]
    for row in changes:
        shown = rows[row.language]
        assert shown[1:3] == [f"{100 * row.base_value:.1f}", f"{100 * row.value:.1f}"]
        change = float(shown[3].replace("\N{MINUS SIGN}", "-"))
        assert change == pytest.approx(100 * row.difference, abs=0.051)
        if row.p_holm is not None:
            sign = "better" if change > 0 else "worse"
            assert shown[-1] == (sign if row.p_holm <= 0.05 else "no significant change")
    assert {rows[code][-1] for code in ("fr", "sw", "es")} == {
        "better", "worse", "no significant change",
    }  # fmt: skip
    header, _ = table(card.text, "### xnli: right option preferred within groups")
    assert header == ["n", "dense", "pruned", "change", "95% interval", "p"]
    found = {one.dataset_config: one.metric_value for one in card.data.eval_results}
    assert found == {row.language: round(row.value, 4) for row in changes if row.p_holm is not None}
    _, perplexities = table(card.text, "### perplexity")
    [of_sw] = [row for row in compared.changes if row[3:5] == ("sw", "perplexity")]
    ratio, low, high = (f"{1 + v:.3f}" for v in (of_sw.difference, of_sw.low, of_sw.high))
    shown = ["120", "66.50", "1,234.00", ratio, f"[{low}, {high}]", "worse"]
    assert perplexities["sw"] == shown


def test_of_another_model_nothing_is_told(runs, monkeypatch, capfd):
    dense, pruned = runs
    evaluated(dense, 0, "7" * 64)
    for arguments in (["--against", dense], []):
        assert run_here(monkeypatch, capfd, "report", pruned, *arguments).returncode == 0
        text = (pruned / "hf" / "README.md").read_text()
        header, rows = table(text, "### xnli, protocol paper")
        assert "dense" not in header
        assert {*WEIGHTS} <= rows.keys()
        assert "The dense model is not evaluated here" in text
        assert table(text, "### perplexity")[0] == ["tokens", "perplexity", "bits/byte"]


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
