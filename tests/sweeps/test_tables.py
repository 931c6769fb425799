"""The tables of a sweep against plain recomputation from the saved scores."""

import csv
import json
import shutil
import xml.etree.ElementTree as ET

import browser
import numpy as np
import pytest
from run_scripts import run_here

import jaxprune as jp
from jaxprune.base.files import manifest
from jaxprune.evaluation import evaluate
from jaxprune.evaluation.measurements import read_measurements
from jaxprune.evaluation.translation.bleu import translation_scores
from jaxprune.search.sweeps import sweep_json
from jaxprune.search.sweeps.write import rebuild

SWEEP = {
    "calibration": {"data": "nano", "samples": 6, "lines": "0-199"},
    "evaluation": {
        "tasks": "nano_nli", "rows": 24, "perplexity": "nano", "perplexity_lines": "300-429",
        "translation": "nano", "translation_rows": 4,
    },
    "output": {"hf": False},
}  # fmt: skip
GRID = {
    "pruning.criterion": ["random", "wanda"],
    "calibration.source": ["fr", "sw", ["fr", "sw"]],
    "pruning.sparsity": [0.5],
}


def sweep(workdir, evaluate):
    return jp.sweep("nano/gpt2", workdir, **SWEEP, sweep={"evaluate": evaluate, "grid": GRID})


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("tables") / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        # translations of a pruned model, which may find no end, are shorter
        patch.setattr("jaxprune.search.sweeps.runner.NEW_TOKENS", 16)
        yield workdir, sweep(workdir, "own")


def correct(workdir, name, code):
    with np.load(workdir / name / "nano_nli" / f"{code}.npz") as arrays:
        return arrays["scores"].argmax(1) == arrays["labels"]


def lines_of(file):
    return list(csv.DictReader(file.read_text().splitlines()))


def test_each_variant_changes_in_its_own_languages(swept):
    _, found = swept
    changes = [one for one in found.comparison.changes if one.measure == "accuracy"]
    single = [one for one in changes if not one.language.startswith("mean")]
    assert {(one.run, one.language) for one in single} == {
        *(("random-0.5", code) for code in ("en", "fr", "sw")),
        *(("wanda-fr+sw-0.5", code) for code in ("en", "fr", "sw")),
        *((f"wanda-{own}-0.5", code) for own in ("fr", "sw") for code in ("en", own)),
    }


def test_own_languages_become_all_and_only_what_lacks_is_asked(swept, monkeypatch, tmp_path):
    shutil.copytree(swept[0], tmp_path / "sweep")
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
    sweep(tmp_path / "sweep", "all")
    everything = ["en", "fr", "sw"]
    assert asked == [
        (f"wanda-{code}-0.5", everything) for code in ("fr", "sw") for _ in range(2)
    ]  # fmt: skip


def test_translations_are_of_the_language_of_the_calibration(swept):
    workdir, found = swept
    measured = found.comparison.measurements
    bleu = {(one.run, one.language): one.value for one in measured if one.measure == "bleu"}
    both = [(name, code) for name in ("dense", "random-0.5") for code in ("fr", "sw")]
    mixed = [("wanda-fr+sw-0.5", code) for code in ("fr", "sw")]
    assert {*bleu} == {*both, *mixed, ("wanda-fr-0.5", "fr"), ("wanda-sw-0.5", "sw")}
    text = (workdir / "wanda-sw-0.5/translation/sw.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    again, _ = translation_scores(
        [line["hypothesis"] for line in lines], [line["reference"] for line in lines]
    )
    assert bleu["wanda-sw-0.5", "sw"] == pytest.approx(again["bleu"])


def test_files_have_a_column_for_each_axis(swept):
    workdir, found = swept
    measured, changed = (lines_of(workdir / name) for name in ("measurements.csv", "changes.csv"))
    axes = ["pruning.criterion", "calibration.source", "pruning.sparsity"]
    assert [*measured[0]][:4] == [*changed[0]][:4] == ["run", *axes]
    by_run = {row["run"]: tuple(row[path] for path in axes) for row in measured}
    assert by_run == {
        "dense": ("", "", ""), "random-0.5": ("random", "", "0.5"), "wanda-fr-0.5": ("wanda", "fr", "0.5"),
        "wanda-sw-0.5": ("wanda", "sw", "0.5"), "wanda-fr+sw-0.5": ("wanda", "fr+sw", "0.5"),
    }  # fmt: skip
    for name in by_run:
        own = {
            (one.task, one.language, one.measure, one.value)
            for file in (workdir / name).glob("*/measurements.csv")
            for one in read_measurements(file.parent)
        }
        rows = [row for row in measured if row["run"] == name]
        key = ("task", "language", "measure")
        assert own == {(*(row[of] for of in key), float(row["value"])) for row in rows}
        assert len(rows) == len(own)
    assert [*found.changes.columns] == [*changed[0]]
    assert len(found.changes) == len(changed)


def table_of(tables, title):
    [table] = [one for one in tables if one.title.startswith(title)]
    return table


def test_the_papers_tables_show_each_language_its_own_variant(swept):
    workdir, found = swept
    table = table_of(found.own_tables, "nano_nli: accuracy, %")
    assert table.header == ["criterion", "source", "sparsity", "en", "fr", "sw"]
    cells = {tuple(row[:3]): row[3:] for row in table.rows}
    assert [*cells] == [
        ("dense", "–", "–"), ("random", "–", "0.5"), ("wanda", "–", "0.5"),
        ("wanda", "fr+sw", "0.5"),
    ]  # fmt: skip
    assert [cell == "–" for cell in cells["wanda", "–", "0.5"]] == [True, False, False]
    corrected = {
        (one.run, one.language): one.p_holm
        for one in found.comparison.changes
        if (one.task, one.measure) == ("nano_nli", "accuracy")
    }
    compared = 0
    for (criterion, source, _), row in cells.items():
        for code, cell in zip(("en", "fr", "sw"), row, strict=True):
            if criterion == "dense" or cell == "–":
                continue
            own = f"wanda-{code}-0.5" if source == "–" else "wanda-fr+sw-0.5"
            name = "random-0.5" if criterion == "random" else own
            after = correct(workdir, name, code)
            assert cell.startswith(f"{100 * after.mean():.1f} (")
            assert cell.endswith("*") == (corrected[name, code] <= 0.05)
            compared += 1
    assert compared == 7


def test_every_variant_has_a_row_in_the_other_tables(swept):
    _, found = swept
    tables = found.tables
    table = next(one for one in tables if one.title == "perplexity")
    assert table.header[:3] == ["criterion", "source", "sparsity"]
    accuracy = table_of(tables, "nano_nli: accuracy, %")
    means = {tuple(row[:3]): row[-1] for row in accuracy.rows}
    assert accuracy.header[-1] == "mean non-en"
    assert [name for name, cell in means.items() if cell == "–"] == [
        ("wanda", "fr", "0.5"), ("wanda", "sw", "0.5"),
    ]  # fmt: skip
    rows = {tuple(row[:3]): row[3:] for row in table.rows}
    assert [cell == "–" for cell in rows["wanda", "fr", "0.5"]] == [False, False, True]
    ratio = next(
        one for one in found.comparison.changes
        if (one.run, one.language, one.measure) == ("wanda-fr-0.5", "fr", "perplexity")
    )  # fmt: skip
    assert f"(×{1 + ratio.difference:.3f} [" in rows["wanda", "fr", "0.5"][1]
    titles = [one.title.partition(":")[0] for one in tables]
    assert {*titles} == {"nano_nli", "perplexity", "translation"}


def test_the_page_begins_with_what_is_better(swept):
    workdir, found = swept
    page = (workdir / "report.html").read_text(encoding="utf-8")
    root = ET.fromstring(page.partition("\n")[2])
    text = "".join(root.itertext())
    assert 0 < text.index("random-0.5 against dense: ") < text.index("A row is a calibration.")
    assert "only in dense" not in text
    for folded in root.iter("details"):
        assert folded.get("open") is None
    # the scale of perplexities covers them
    ratios = [1 + one.difference for one in found.comparison.changes if one.measure == "perplexity"]
    assert max(ratios) > 2
    titles = [title.text for title in root.iter("title")]
    assert any(title.startswith("fr, random-0.5: ") for title in titles)
    assert not any(title.startswith("fr, wanda-sw-0.5: ") for title in titles)
    shown = found._repr_html_()
    assert shown.count("<table") == len(found.main_tables) == 3


@pytest.mark.parametrize(("width", "scheme"), browser.VIEWS, ids=str)
def test_the_page_in_a_browser(swept, chromium, width, scheme):
    chromium.open(swept[0] / "report.html", width=width, scheme=scheme)
    assert browser.faults(chromium, width) == []


def test_variants_calibrated_on_the_text_that_is_measured_are_named(swept, tmp_path):
    shutil.copytree(swept[0], tmp_path / "sweep")
    folder = tmp_path / "sweep" / "wanda-fr-0.5" / "perplexity"
    facts = json.loads((folder / "evaluation.json").read_text())
    facts["calibration_overlap"] = {"en": 3, "fr": 7}
    (folder / "evaluation.json").write_text(json.dumps(facts))
    manifest.seal(folder)
    rebuild(tmp_path / "sweep")
    contains = "The calibration set contains lines of the text that perplexity is measured on"
    note = f"wanda-fr-0.5: {contains}: 3 (en), 7 (fr)."
    assert note in (tmp_path / "sweep/report.html").read_text(encoding="utf-8")
    assert contains not in (swept[0] / "report.html").read_text(encoding="utf-8")


def test_tables_come_again_from_the_small_files_alone(swept, tmp_path, monkeypatch, capfd):
    """Without masks, and where neither the model nor any text is."""
    workdir, _ = swept
    there = tmp_path / "there"
    for pattern in ("sweep.json", "*/nano_*/*", "*/perplexity/*", "*/translation/*"):
        for file in workdir.glob(pattern):
            (there / file.relative_to(workdir)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, there / file.relative_to(workdir))
    about = json.loads((there / sweep_json.CONFIG).read_text())
    nowhere = {"model": "gone", "calibration.data": "gone", "evaluation.perplexity": "gone"}
    config = json.dumps(about | {"config": about["config"] | nowhere})
    (there / sweep_json.CONFIG).write_text(config)
    done = run_here(monkeypatch, capfd, "report", there)
    assert done.returncode == 0, done.stderr
    for name in ("measurements.csv", "changes.csv"):
        assert (there / name).read_text() == (workdir / name).read_text()
    assert not (there / "dense" / "report.html").exists()
    refused = run_here(monkeypatch, capfd, "report", there, "--out", tmp_path / "page.html")
    assert (refused.returncode, "is a sweep; set neither" in refused.stderr) == (2, True)


def test_tables_are_of_the_variants_and_languages_of_the_config_alone(swept, tmp_path):
    shutil.copytree(swept[0], tmp_path / "sweep")
    file = tmp_path / "sweep" / sweep_json.CONFIG
    text = file.read_text().replace("calibration.source=fr|sw|fr,sw", "calibration.source=fr")
    file.write_text(text)
    found = rebuild(tmp_path / "sweep")
    assert found.comparison.names == ["dense", "random-0.5", "wanda-fr-0.5"]
    assert found.missing == []
    assert {one.language for one in found.comparison.measurements} == {"en", "fr"}


def test_a_grid_without_languages_has_the_tables_of_all_variants(tmp_path):
    grid = {"pruning.criterion": ["magnitude", "random"]}
    job = {"evaluation": {"tasks": "nano_nli", "rows": 4}, "calibration": {"data": "nano"}}
    found = jp.sweep("nano/gpt2", tmp_path / "sweep", **job, sweep={"grid": grid})
    assert found.own_tables == []
    [table] = found.main_tables
    assert [row[0] for row in table.rows] == ["dense", "magnitude", "random"]
