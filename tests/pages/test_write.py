"""The page of a run and of a comparison: its figures are those of the inputs, and nothing else gets in."""

import base64
import json
import math
import os
import re
import shlex
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from jobs import job
from report_runs import (
    LABELS,
    SPARSITY,
    WEIGHTS,
    analyse,
    evaluate,
    known_statistics,
    make_runs,
    prune,
    scores,
    translate,
    write_json,
    write_perplexity,
    write_rows,
)
from run_scripts import run_alone, run_here

from jaxprune.base.errors import InputError
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.evaluation.in_memory import compare
from jaxprune.evaluation.scoring import metrics
from jaxprune.evaluation.scoring.scores import Scored
from jaxprune.nano import CHECKPOINTS
from jaxprune.pages.job import run_from_config
from jaxprune.pages.page import write_report

MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return make_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def pages(runs, tmp_path_factory):
    """The page of the pruned run and that of the comparison, as text."""
    folder, (dense, pruned) = tmp_path_factory.mktemp("pages"), runs
    write_report(pruned, (), folder / "run.html")
    write_report(pruned, [dense], folder / "deep" / "compare.html")
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in (folder / "run.html", folder / "deep" / "compare.html")
    }


def parsed(page):
    """The page as XML: stricter than HTML, so that it is well-formed in either."""
    return ET.fromstring(page)


def made(run, *against):
    """The page of a run, parsed."""
    out = run / "page.html"
    write_report(run, against, out)
    return parsed(out.read_text(encoding="utf-8"))


def texts(element):
    return [" ".join("".join(cell.itertext()).split()) for cell in element]


def tables(root):
    """Caption → (header, rows by their first cell)."""
    found = {}
    for table in root.iter("table"):
        rows = [texts(row) for row in table.find("tbody")]
        header = texts(table.find("thead")[-1])
        assert all(len(row) == len(header) for row in rows)
        caption = table.find("caption")
        found[None if caption is None else caption.text] = header, {row[0]: row[1:] for row in rows}
    return found


def right(code, side):
    return scores(code, side).argmax(1) == LABELS


def points(value):
    return f"{100 * value:+.1f}".replace("-", MINUS)


# The document.


@pytest.mark.parametrize("name", ["run", "compare"])
def test_the_document_is_whole_and_alone(pages, name):
    page, root = pages[name], parsed(pages[name])
    assert page.startswith("<!DOCTYPE html>")
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    links = [element.get("href") for element in root.iter("a")]
    assert len(set(ids)) == len(ids) > 4
    assert {f"#{name}" for name in ids} == set(links)
    text = re.sub(r"data:image/png;base64,[\w+/=]+", "", page)
    assert not re.search(r"https?:|//|@import|url\(|\bsrc=|<script|<iframe|\son\w+=", text)
    names = {element.tag for element in root.iter()}
    assert not names & {"script", "object", "iframe", "form"}
    pictures = (image.get("srcset") for image in root.iter("img"))
    assert all(picture.startswith("data:image/png;base64,") for picture in pictures)
    assert [link.get("href") for link in root.iter("link")] == ["data:,"]
    for svg in root.iter("svg"):
        assert svg.get("aria-hidden") == "true" or svg.find("title").text
    assert "prefers-color-scheme: dark" in root.find("head/style").text


# Figures.


def test_the_first_table_of_a_comparison_has_the_figures_of_the_scores(runs, pages):
    header, rows = tables(parsed(pages["compare"]))["Results by language"]
    titles = ("xnli: accuracy, %", "translation: BLEU")
    assert header == ["language", *(f"{t}, {run}" for t in titles for run in ("dense", "pruned"))]
    assert list(rows) == [*WEIGHTS, "mean", "mean non-en"]
    for one in compare(*runs).changes:
        if one.measure == "accuracy":
            bounds = f"[{points(one.low)}, {points(one.high)}]"
            shown = f"{100 * one.value:.1f} ({points(one.difference)} {bounds})"
            star = "*" if one.p_holm is not None and one.p_holm <= 0.05 else ""
            assert rows[one.language][1] == shown + star
            assert rows[one.language][0].startswith(f"{100 * one.base_value:.1f}")
            assert one.language not in WEIGHTS or one.value == right(one.language, 1).mean()
    found = parsed(pages["compare"]).find(".//tbody")
    assert {texts(row)[0]: row.findall("td")[1].get("class") for row in found} == {
        "en": "unclear", "es": "unclear", "fr": "better", "sw": "worse",
        "mean": "untested", "mean non-en": "untested",
    }  # fmt: skip


def test_a_page_opens_with_its_conclusion(runs, pages):
    first = parsed(pages["compare"]).find("body/header/p").text
    change = {code: points(right(code, 1).mean() - right(code, 0).mean()) for code in WEIGHTS}
    assert first.startswith(f"pruned against dense: better in xnli fr ({change['fr']})")
    assert f"worse in xnli sw ({change['sw']})" in first
    worst = min(WEIGHTS, key=lambda code: right(code, 1).mean())
    shares = {code: 100 * right(code, 1).mean() for code in WEIGHTS}
    mean, others = (
        np.mean([share for code, share in shares.items() if code != without])
        for without in (None, "en")
    )
    said = parsed(pages["run"]).find("body/header/p").text
    assert said == (
        f"xnli, accuracy in %: mean {mean:.1f}, without English {others:.1f}; "
        f"worst language {worst}, {shares[worst]:.1f}."
    )


def test_all_measures_are_folded(runs, pages):
    comparison = compare(*runs)
    alone = open_evaluation(runs[1]).tables
    for name, expected in (("compare", comparison.tables), ("run", alone)):
        parts = parsed(pages[name]).iter("details")
        [folded] = [one for one in parts if one.find("summary").text == "all measures"]
        shown = tables(folded)
        assert [*shown] == [one.title for one in expected]
        for one in expected:
            cells = {row[0]: [cell.strip() for cell in row[1:]] for row in one.rows}
            assert shown[one.title] == ([*one.header], cells)


def test_several_runs_are_compared_with_the_first(runs, tmp_path):
    dense, pruned = runs
    for write in (evaluate, translate):
        write(tmp_path / "again", 0)
    root = made(tmp_path / "again", pruned, dense)
    assert root.find("body/header/h1").text == "dense, again against pruned"
    header, rows = tables(root)["Results by language"]
    assert [title.rpartition(", ")[2] for title in header[1:4]] == ["pruned", "dense", "again"]
    assert rows["fr"][1].partition(" (")[2] == rows["fr"][2].partition(" (")[2]  # the same scores
    first, second = (p.text for p in root.findall("body/header/p")[:2])
    assert first.startswith("dense against pruned: ")
    assert second == first.replace("dense against", "again against")
    told = titles(root, "xnli: Change of accuracy")
    assert sum(", dense: " in one for one in told) == len(WEIGHTS) + 2


def test_changes_of_many_runs_are_a_map_that_covers_them(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "RESAMPLES", 200)
    folders = [tmp_path / f"run{place}" for place in range(9)]
    for place, folder in enumerate(folders):
        evaluate(folder, min(place, 1))
    root = made(folders[-1], *folders[:-1])
    assert root.find("body/header/details/summary").text == "5 more"
    told = titles(root, "xnli: Change of accuracy")
    change = 100 * (right("sw", 1).mean() - right("sw", 0).mean())
    assert f"run6, sw: {points(change / 100)}" in told
    [figure] = [
        f for f in root.iter("figure") if "Change of accuracy" in f.find("figcaption/b").text
    ]
    legend = [text.text for text in figure.iter("text") if text.text.startswith((MINUS, "+"))]
    assert f"{MINUS}{abs(change):.1f}" in legend


def test_ratios_of_perplexity_stand_on_a_log_axis_with_a_line_at_1(tmp_path):
    rng = np.random.default_rng(0)
    before = rng.normal(-2.5, 0.3, 30)
    rises = {code: rng.normal(mean, 0.2, 30) for code, mean in (("de", 0), ("fr", 0.3), ("sw", -1))}
    write_perplexity(tmp_path / "a", dict.fromkeys(rises, before))
    write_perplexity(tmp_path / "b", {code: before - rise for code, rise in rises.items()})
    root = made(tmp_path / "b", tmp_path / "a")
    told = titles(root, "perplexity: Ratio of perplexities")
    assert told[0] == "unchanged: 1.000"
    _, rows = tables(root)["Results by language"]
    words = ("no significant change", "worse", "better")
    for title, word, (code, rise) in zip(told[1:], words, rises.items(), strict=True):
        reach = 2.0452 * np.std(rise, ddof=1) / math.sqrt(30)  # Student's t of 30 parts
        ratios = np.exp([rise.mean(), rise.mean() - reach, rise.mean() + reach])
        shown = "{:.3f} [{:.3f}, {:.3f}]".format(*ratios)
        assert title == f"{code}, b: {shown}, {word}"
        star = "" if word == "no significant change" else "*"
        assert rows[code][1].endswith(f"(×{shown}){star}")
    [figure] = [f for f in root.iter("figure") if f.find("figcaption/b").text.startswith("perplex")]
    assert any(text.text == "over a (log)" for text in figure.iter("text"))


def test_a_model_at_chance_gives_no_verdict(tmp_path):
    """Wilson's interval of the dense accuracy contains a third; pruned, the model is significantly better."""
    for side, share in ((0, 0.33), (1, 0.9)):
        right = np.arange(400) < 400 * share
        options = np.where(right[:, None], np.eye(3)[LABELS], np.eye(3)[(LABELS + 1) % 3])
        scored = Scored(options.astype(np.float32), LABELS, np.arange(400, dtype=np.int32))
        write_rows(tmp_path / str(side), "xnli", {"fr": scored})
    root = made(tmp_path / "1", tmp_path / "0")
    cell = root.find(".//tbody/tr").findall("td")[1]
    assert cell.get("class") == "chance"
    said = root.find("body/header/p").text
    assert said == "1 against 0: no conclusion in xnli fr, where 0 is at chance."
    told = titles(root, "xnli: Change of accuracy")
    assert told[1].endswith(", at chance: cannot tell")


def test_chance_is_drawn_where_accuracy_is(pages):
    for name, series in (("run", "pruned"), ("compare", "dense")):
        told = titles(parsed(pages[name]), "xnli: Accuracy")
        assert told[0] == "chance: 33.33"  # three options
        assert any(title.startswith(f"fr, {series}: ") for title in told)


def titles(root, caption):
    """What the marks of a figure tell on hovering."""
    [figure] = [f for f in root.iter("figure") if f.find("figcaption/b").text == caption]
    return [title.text for title in figure.iter("title")][1:]


def test_figures_of_pruning_and_analysis(runs, pages, tmp_path):
    root = parsed(pages["run"])
    told = titles(root, "Dropped by layer, %")
    assert told == [f"dropped, {i}: {100 * s:.4g}" for i, s in enumerate(SPARSITY["layers"])]
    rms = np.sqrt(known_statistics().sum_sq["translation"]["qkv"] / 250)
    assert titles(root, "qkv, RMS") == [
        f"translation, {name}, {layer}: {value:.4g}"
        for name, values in (("largest", rms.max(-1)), ("median", np.median(rms, -1)))
        for layer, value in enumerate(values)
    ]
    [picture] = root.iter("img")
    encoded, density = picture.get("srcset").removeprefix("data:image/png;base64,").split()
    assert (base64.b64decode(encoded), density) == (analyse(tmp_path), "2x")
    facts = dict(zip(texts(root.iter("dt")), texts(root.iter("dd")), strict=True))
    assert facts["sparsity"].startswith("29.75% of the blocks' kernels; 25.0% to 34.2% by layer")
    assert facts["pruning.sparsity"] == "0.3"
    assert [facts[f"calibration.{side}"] for side in ("source", "target")] == ["fr", "en"]
    assert facts["tokens"] == "8,874 (translation)"


def test_settings_that_differ_stand_first_and_all_are_folded(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        translate(tmp_path / name, 0)
        config = {"seed": seed, "mesh": {"data": -1}, "rows": seed - 1000, "cached": bool(seed)}
        write_json(tmp_path / name / "config.json", config)
    translate(tmp_path / "none", 0)  # a run without a config has no column
    root = made(tmp_path / "b", tmp_path / "a", tmp_path / "none")
    shown = tables(root)
    rows = {"seed": ["0", "1"], "rows": ["-1000", "-999"], "cached": ["False", "True"]}
    assert shown["Config fields that differ"] == (["field", "a", "b"], rows)
    assert shown["Config"] == (["field", "a", "b"], rows | {"mesh.data": ["-1", "-1"]})
    assert "Config" in [s.text for s in root.iter("summary")]


@pytest.mark.parametrize(
    "fields",
    [
        {"calibration__source": "fr,sw", "calibration__combine": "weights",
         "calibration__weights": "fr:2,sw:1", "calibration__lines": "0-99", "output__hf": False},
        {"pruning__allocation": '{"0": 0.4, "1": 0.5, "2": 0.6, "3": 0.5}', "pruning__sparsity": 0.5},
        {"recovery__epochs": 1, "recovery__batch": 2, "recovery__held_out": 0.25},
    ],
    ids=["weights", "shares", "recovered"],
)  # fmt: skip
def test_the_commands_that_made_a_run_make_it_again(fields, tmp_path, monkeypatch, capfd):
    """In folders of other names, with the model and the texts in folders of any name."""
    model, texts = tmp_path / "my models" / "bloom's", tmp_path / "texts"
    shutil.copytree(CHECKPOINTS["bloom"], model)
    shutil.copytree(Path(CHECKPOINTS["bloom"]).parents[1] / "calibration", texts)
    first, last = tmp_path / "first", tmp_path / "last"
    is_recovered = "recovery__epochs" in fields
    given = {"calibration__data": str(texts), "calibration__samples": 4, **fields}
    run_from_config(job(model, **given), first if is_recovered else last)
    if is_recovered:
        run_from_config(job(model, recovery__run=str(first), **given), last)
    write_report(last, (), tmp_path / "page.html")
    page = parsed((tmp_path / "page.html").read_text(encoding="utf-8"))
    lines = [shlex.split("".join(one.itertext())) for one in page.iter("code")]
    folders = {"PRUNED": str(tmp_path / "again0"), "runs/last": str(tmp_path / "again")}
    for program, command, *arguments in [
        line for line in lines if "prune" in line[1] or "rec" in line[1]
    ]:
        assert program == "jaxprune"
        moved = [folders.get(word, word) for word in arguments]
        moved = [word.replace("run=PRUNED", f"run={folders['PRUNED']}") for word in moved]
        done = run_here(monkeypatch, capfd, command, *moved)
        assert done.returncode == 0, done.stderr
    known = []
    for run in (last, tmp_path / "again"):
        config = json.loads((run / "config.json").read_text())
        config.pop("recovery", None)  # whose run has another name
        known.append((config, json.loads((run / "report.json").read_text())["digests"]))
    assert known[0] == known[1]


# What comes in.

HOSTILE = "<script>alert('x')</script>\"&\x00</style><!--"


def test_strings_of_files_stay_text(tmp_path):
    run = tmp_path / "a<b>&'c"
    prune(run)
    evaluate(run, 1, task="x<i>nli")
    write_json(run / "config.json", {"model": HOSTILE, HOSTILE: [HOSTILE]})
    root = made(run)
    assert root.find("body/header/h1").text == "a<b>&'c"
    assert not list(root.iter("script"))
    assert not list(root.iter("i"))
    shown = HOSTILE.replace("\x00", "\ufffd")
    facts = dict(zip(texts(root.iter("dt")), texts(root.iter("dd")), strict=True))
    assert facts["model"] == shown
    assert tables(root)["Config"][1][shown] == [str([HOSTILE])]


def test_parts_that_are_absent_are_left_out(tmp_path):
    sections = {}
    for name, make in (("pruned", prune), ("analysed", analyse)):
        make(tmp_path / name)
        sections[name] = [s.get("id") for s in made(tmp_path / name).iter("section")]
    assert sections == {
        "pruned": ["sparsity", "magnitudes", "settings"],
        "analysed": ["analysis", "settings"],
    }
    root = made(tmp_path / "analysed")
    assert texts(root.iter("dd")) == ["analysed model"]
    translate(tmp_path / "translated", 0)
    assert [s.get("id") for s in made(tmp_path / "translated").iter("section")] == ["results"]


def test_the_script_gives_the_same_inputs_the_same_bytes(runs, pages):
    dense, pruned = runs
    page = pruned / "report.html"
    page.write_text("an earlier page")
    before = {*pruned.iterdir()}
    done = run_alone("report", pruned, "--against", dense)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"written: {page}\n"
    assert page.read_text(encoding="utf-8") == pages["compare"]
    assert {*pruned.iterdir()} == before


def test_refusals(runs, tmp_path):
    for out in (tmp_path, Path(os.devnull)):
        with pytest.raises(InputError, match="a folder or device; expected a file"):
            write_report(runs[0], (), out)
    prune(tmp_path / "pruned")
    for run, against in ((tmp_path / "pruned", runs[0]), (runs[0], tmp_path / "pruned")):
        with pytest.raises(InputError, match="pruned: not evaluated; expected <task>/evaluation"):
            write_report(run, [against])
    analyse(tmp_path / "analysed")
    (tmp_path / "analysed" / "analysis" / "analysis.json").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"analysis.json: not JSON"):
        write_report(tmp_path / "analysed")
