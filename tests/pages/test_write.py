"""The page of a run and of a comparison: its figures are those of the inputs, and nothing else gets in."""

import base64
import json
import math
import os
import re
import shlex
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
from jobs import job
from report_runs import (
    LABELS,
    REFERENCES,
    SPARSITY,
    WEIGHTS,
    WRONG,
    analyse,
    evaluate,
    make_runs,
    prune,
    scores,
    stats_of,
    write_json,
    write_perplexity,
    write_task,
)
from run_json import write_report as write_run_report
from run_scripts import run_alone, run_here

from jaxprune.base.errors import InputError
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.evaluation.in_memory import compare
from jaxprune.evaluation.scoring import metrics
from jaxprune.evaluation.scoring.scores import Scored
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs.pages.write import write_report
from jaxprune.runs.pipeline import prune_from_config
from jaxprune.runs.recover import recover_from_config

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


def test_html_closes_the_same_elements_as_xml(pages):
    class Parser(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open = []

        def handle_starttag(self, tag, attrs):
            self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

        def handle_startendtag(self, tag, attrs):
            assert tag in {"meta", "link", "br", "wbr", "img", "line", "path"}

    for page in pages.values():
        parser = Parser()
        parser.feed(page)
        parser.close()
        assert not parser.open


# Figures.


def test_the_first_table_of_a_comparison_has_the_figures_of_the_scores(runs, pages):
    header, rows = tables(parsed(pages["compare"]))["Results by language"]
    titles = ("xnli: accuracy, %", "translation: BLEU")
    assert header == ["language", *(f"{t}, {run}" for t in titles for run in ("dense", "pruned"))]
    assert list(rows) == [*WEIGHTS, "mean", "mean non-en"]
    p = [metrics.mcnemar(right(code, 0), right(code, 1)) for code in WEIGHTS]
    shares = {}
    for code, holm in zip(WEIGHTS, metrics.holm(p), strict=True):
        before, after = (right(code, side).mean() for side in (0, 1))
        shares[code] = before, after
        change = right(code, 1) * 1.0 - right(code, 0)
        tested = metrics.paired_bootstrap(change.reshape(100, 4).mean(1))
        star = "*" if holm <= 0.05 else ""
        bounds = ", ".join(map(points, tested.interval))
        shown = f"{100 * after:.1f} ({points(after - before)} [{bounds}]){star}"
        assert rows[code][1] == shown
        assert rows[code][0].startswith(f"{100 * before:.1f} [")
    means = np.mean([shares[code] for code in WEIGHTS], axis=0)
    assert rows["mean"][0] == f"{100 * means[0]:.1f}"
    assert rows["mean"][1].startswith(f"{100 * means[1]:.1f} ({points(means[1] - means[0])} [")
    kinds = {
        texts(row)[0]: row.findall("td")[1].get("class")
        for row in parsed(pages["compare"]).find(".//tbody")
    }
    assert kinds == {
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
    for name, expected in (
        ("compare", comparison.tables),
        ("run", open_evaluation(runs[1]).tables),
    ):
        [folded] = [
            one
            for one in parsed(pages[name]).iter("details")
            if one.find("summary").text == "all measures"
        ]
        shown = tables(folded)
        assert [*shown] == [one.title for one in expected]
        for one in expected:
            cells = {row[0]: [cell.strip() for cell in row[1:]] for row in one.rows}
            assert shown[one.title] == ([*one.header], cells)


def test_several_runs_are_compared_with_the_first(runs, tmp_path):
    dense, pruned = runs
    evaluate(tmp_path / "again", 0)
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


def test_changes_of_many_runs_are_a_map_that_covers_them(runs, tmp_path):
    dense, pruned = runs
    others = [tmp_path / f"run{place}" for place in range(7)]
    for folder in others:
        evaluate(folder, 1)
    root = made(pruned, dense, *others)
    assert root.find("body/header/details/summary").text == "5 other runs"
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
    shifts = {"de": 0.0, "fr": 0.3, "sw": -0.3}
    parts = {
        code: (rng.normal(-2.5, 0.3, 30), rng.normal(shift, 0.2, 30))
        for code, shift in shifts.items()
    }
    for name, side in (("a", 0), ("b", 1)):
        values = {code: before - side * rise for code, (before, rise) in parts.items()}
        write_perplexity(tmp_path / name, values)
    root = made(tmp_path / "b", tmp_path / "a")
    told = titles(root, "perplexity: Ratio of perplexities")
    assert told[0] == "unchanged: 1.000"
    words = {"fr": "worse", "sw": "better", "de": "no significant change"}
    _, rows = tables(root)["Results by language"]
    for place, (code, (_, rise)) in enumerate(parts.items()):
        reach = 2.0452 * np.std(rise, ddof=1) / math.sqrt(30)  # Student's t of 30 parts
        bounds = [math.exp(rise.mean() - reach), math.exp(rise.mean() + reach)]
        shown = f"{math.exp(rise.mean()):.3f} [{bounds[0]:.3f}, {bounds[1]:.3f}]"
        assert told[1 + place] == f"{code}, b: {shown}, {words[code]}"
        assert rows[code][1].endswith(f"(×{shown})")
        assert words[code] == (
            "worse" if bounds[0] > 1 else "better" if bounds[1] < 1 else words["de"]
        )
    [figure] = [f for f in root.iter("figure") if f.find("figcaption/b").text.startswith("perplex")]
    assert any(text.text == "over a (log)" for text in figure.iter("text"))


def test_little_text_carries_no_conclusion(tmp_path):
    for name, mean in (("a", -2.5), ("b", -2.7)):
        write_perplexity(tmp_path / name, {"sw": mean + np.linspace(0, 0.1, 5)})
    root = made(tmp_path / "b", tmp_path / "a")
    assert tables(root)["Results by language"][1]["sw"][1].endswith(" too little text")
    [ratio] = titles(root, "perplexity: Ratio of perplexities")[1:]
    assert ratio.endswith(", too little text: cannot tell")
    kinds = {cell.get("class") for cell in root.iter("td")}
    assert "few" in kinds
    assert not kinds & {"better", "worse"}


def test_a_model_at_chance_gives_no_verdict(tmp_path):
    """Wilson's interval of the dense accuracy contains a third; pruned, the model is significantly better."""
    for side, share in ((0, 0.33), (1, 0.9)):
        right = np.arange(400) < 400 * share
        options = np.where(right[:, None], np.eye(3)[LABELS], np.eye(3)[(LABELS + 1) % 3])
        scored = Scored(options.astype(np.float32), LABELS, np.arange(400, dtype=np.int32))
        write_task(tmp_path / str(side), "xnli", {"fr": scored})
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
    stats = stats_of(["translation"])
    rms = np.sqrt(stats.sum_sq["translation"]["qkv"] / 250)
    told = titles(root, "qkv, RMS")
    assert told[:3] == [f"translation, largest, {i}: {v:.4g}" for i, v in enumerate(rms.max(-1))]
    assert told[3:] == [
        f"translation, median, {i}: {v:.4g}" for i, v in enumerate(np.median(rms, -1))
    ]
    [picture] = root.iter("img")
    encoded, density = picture.get("srcset").removeprefix("data:image/png;base64,").split()
    assert (base64.b64decode(encoded), density) == (analyse(tmp_path), "2x")
    facts = dict(zip(texts(root.iter("dt")), texts(root.iter("dd")), strict=True))
    assert facts["sparsity"].startswith("29.75% of the blocks' kernels; 25.0% to 34.2% by layer")
    assert facts["pruning.sparsity"] == "0.3"
    assert [facts[f"calibration.{side}"] for side in ("source", "target")] == ["fr", "en"]
    assert facts["tokens"] == "8,874 (translation)"


def test_a_run_without_a_config_has_no_column_in_the_settings(pages):
    header, rows = tables(parsed(pages["compare"]))["Config"]
    assert header == ["field", "pruned"]
    assert rows["pruning.sparsity"] == ["0.3"]
    assert rows["model"] == ["bigscience/bloom-560m"]


def test_settings_that_differ_stand_first_and_all_are_folded(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        evaluate(tmp_path / name, 0)
        config = {"seed": seed, "mesh": {"data": -1}, "dtype": "float32", "model": "m"}
        config |= {"rows": seed - 1000, "cached": bool(seed)}
        write_json(tmp_path / name / "config.json", config)
    root = made(tmp_path / "b", tmp_path / "a")
    shown = tables(root)
    rows = {
        "seed": ["0", "1"],
        "rows": ["-1000", "-999"],
        "cached": ["False", "True"],
    }
    assert shown["Config fields that differ"] == (["field", "a", "b"], rows)
    same = {"mesh.data": ["-1"] * 2, "dtype": ["float32"] * 2, "model": ["m"] * 2}
    assert shown["Config"] == (["field", "a", "b"], rows | same)
    assert "Config" in [s.text for s in root.iter("summary")]


@pytest.mark.parametrize(
    "fields",
    [
        {"calibration__source": "fr,sw", "calibration__combine": "weights",
         "calibration__weights": "fr:2,sw:1", "calibration__lines": "0-99", "output__hf": False},
        {"pruning__pattern": "2:4", "pruning__criterion": "ria"},
        {"pruning__allocation": '{"0": 0.4, "1": 0.5, "2": 0.6, "3": 0.5}', "pruning__sparsity": 0.5},
        {"recovery__epochs": 1, "recovery__batch": 2, "recovery__held_out": 0.25},
    ],
    ids=["weights", "pattern", "shares", "recovered"],
)  # fmt: skip
def test_the_commands_that_made_a_run_make_it_again(fields, tmp_path, monkeypatch, capfd):
    """In folders of other names, with the model and the texts in folders of any name."""
    model, texts = tmp_path / "my models" / "bloom's", tmp_path / "texts"
    shutil.copytree(CHECKPOINTS["bloom"], model)
    shutil.copytree(Path(CHECKPOINTS["bloom"]).parents[1] / "calibration", texts)
    first, last = tmp_path / "first", tmp_path / "last"
    is_recovered = "recovery__epochs" in fields
    given = {"calibration__data": str(texts), "calibration__samples": 4, **fields}
    prune_from_config(job(model, **given), first if is_recovered else last)
    if is_recovered:
        recover_from_config(job(model, recovery__run=str(first), **given), last)
    write_report(last, (), tmp_path / "page.html")
    page = parsed((tmp_path / "page.html").read_text(encoding="utf-8"))
    lines = [shlex.split("".join(one.itertext())) for one in page.iter("code")]
    folders = {"PRUNED": str(tmp_path / "again0"), "last": str(tmp_path / "again")}
    for program, command, *arguments in [
        line for line in lines if "prune" in line[1] or "rec" in line[1]
    ]:
        assert program == "jaxprune"
        moved = [folders.get(word, word) for word in arguments]
        moved = [word.replace("run=PRUNED", f"run={folders['PRUNED']}") for word in moved]
        done = run_here(monkeypatch, capfd, command, *moved)
        assert done.returncode == 0, done.stderr
    reports = [json.loads((run / "report.json").read_text()) for run in (last, tmp_path / "again")]
    assert reports[0]["digests"] == reports[1]["digests"]
    configs = [json.loads((run / "config.json").read_text()) for run in (last, tmp_path / "again")]
    for config in configs:
        config.pop("recovery", None)  # whose run has another name
    assert configs[0] == configs[1]


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
        "analysed": ["analysis"],
    }
    evaluate(tmp_path / "evaluated", 0)
    assert [s.get("id") for s in made(tmp_path / "evaluated").iter("section")] == ["results"]


def test_runs_with_translations_only_are_compared(tmp_path):
    hypotheses = [REFERENCES, [line.replace("sleeps", "is") for line in REFERENCES]]
    for side in (0, 1):
        evaluate(tmp_path / str(side), side)
        shutil.rmtree(tmp_path / str(side) / "xnli")
    _, rows = tables(made(tmp_path / "1", tmp_path / "0"))["Results by language"]
    for code, wrong in WRONG.items():
        bleu = [
            sacrebleu.corpus_bleu([*hypotheses[1][:n], *REFERENCES[n:]], [REFERENCES]).score
            for n in wrong
        ]
        assert rows[code][0] == f"{bleu[0]:.1f}"
        assert rows[code][1].startswith(f"{bleu[1]:.1f} (")


def test_methods_with_gram_matrices_of_few_tokens_say_so(tmp_path):
    prune(tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    for tokens, said in ((8874, False), (900, True)):
        write_run_report(
            tmp_path / "report.json",
            report | {"gram_width": 1024, "tokens": {"translation": tokens}},
        )
        notes = texts(made(tmp_path).iter("dd"))
        expected = "has 900 tokens, fewer than the widest layer has inputs (1,024)"
        assert any(expected in note for note in notes) is said


def refused(message, run, against=(), out=None):
    with pytest.raises(InputError, match=message):
        write_report(run, against, out)


def test_refusals(runs, tmp_path):
    dense, _ = runs
    refused("none: no such folder", tmp_path / "none")
    refused("nothing to report; expected report.json", tmp_path)
    refused("a folder or device; expected a file", dense, (), tmp_path)
    refused("a folder or device; expected a file", dense, (), Path(os.devnull))
    prune(tmp_path / "pruned")
    refused("pruned: not evaluated; expected <task>/evaluation.json", tmp_path / "pruned", [dense])
    refused("pruned: not evaluated", dense, [tmp_path / "pruned"])
    evaluate(tmp_path / "other", 0, task="marc2")
    shutil.rmtree(tmp_path / "other" / "translation")
    refused("no task and language in both runs", tmp_path / "other", [dense])
    report = tmp_path / "pruned" / "report.json"
    for text, message in (
        ("{", "report.json: not JSON"),
        ("[]", "report.json: expected a JSON obj"),
    ):
        report.write_text(text)
        refused(message, tmp_path / "pruned")
    analyse(tmp_path / "analysed")
    (tmp_path / "analysed" / "analysis" / "analysis.json").write_bytes(b"PK")
    refused("analysis.json: not JSON", tmp_path / "analysed")


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


def test_the_script_ends_in_one_line(tmp_path, monkeypatch, capfd):
    for arguments, message in [((), "usage: report.py RUN"), ((tmp_path / "n",), "no such folder")]:
        done = run_here(monkeypatch, capfd, "report", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(f"error: .*{re.escape(message)}.*\n", done.stderr)
