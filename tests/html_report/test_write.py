"""The page of a run and of a comparison: its figures are those of the inputs, and nothing else gets in."""

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
    BLEU,
    LABELS,
    SPARSITY,
    WEIGHTS,
    analyse,
    evaluate,
    make_runs,
    prune,
    scores,
    stats_of,
    write_json,
)
from run_scripts import run_alone, run_here

from jaxprune.config import FIELDS
from jaxprune.errors import InputError
from jaxprune.evaluation.comparison import compare_runs
from jaxprune.evaluation.scoring import Scored, metrics
from jaxprune.files import to_json
from jaxprune.html_report import write_report
from jaxprune.html_report.plain import flatten
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs import prune_from_config, recover_from_config

MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return make_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def pages(runs, tmp_path_factory):
    """The page of the pruned run and that of the comparison, as text."""
    folder, (dense, pruned) = tmp_path_factory.mktemp("pages"), runs
    write_report(pruned, None, folder / "run.html")
    defaults = {path: field.default for path, field in FIELDS.items()}
    write_report(pruned, dense, folder / "deep" / "compare.html", defaults=defaults)
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in (folder / "run.html", folder / "deep" / "compare.html")
    }


def parsed(page):
    """The page as XML: stricter than HTML, so that it is well-formed in either."""
    return ET.fromstring(page)


def made(run, *, against=None):
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
        found[table.find("caption").text] = header, {row[0]: row[1:] for row in rows}
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
    assert len(set(ids)) == len(ids) > 5
    assert {f"#{name}" for name in ids} == set(links)
    assert not re.search(r"https?:|//|@import|url\(|\bsrc=|<script|<iframe|\son\w+=", page)
    names = {element.tag for element in root.iter()}
    assert not names & {"script", "img", "object", "iframe", "form"}
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
            assert tag in {"meta", "link", "br", "wbr", "line", "path"}

    for page in pages.values():
        parser = Parser()
        parser.feed(page)
        parser.close()
        assert not parser.open


# Figures.


def test_the_table_of_a_comparison_has_the_figures_of_the_scores(runs, pages):
    header, rows = tables(parsed(pages["compare"]))["xnli: changes by language"]
    assert header[:9] == [
        "language", "before", "after", "points", "95% interval", "", "Holm", "McNemar", "bootstrap",
    ]  # fmt: skip
    assert list(rows) == [*WEIGHTS, "mean", "mean non-en"]
    p = [metrics.mcnemar(right(code, 0), right(code, 1)) for code in WEIGHTS]
    shares = {}
    for code, mcnemar, holm in zip(WEIGHTS, p, metrics.holm(p), strict=True):
        before, after = (right(code, side).mean() for side in (0, 1))
        shares[code] = before, after
        change = right(code, 1) * 1.0 - right(code, 0)
        tested = metrics.paired_bootstrap(change.reshape(100, 4).mean(1))
        sign = "better" if after > before else "worse"
        assert rows[code][:8] == [
            f"{100 * before:.1f}", f"{100 * after:.1f}", points(after - before),
            f"[{', '.join(map(points, tested.interval))}]",
            sign if holm <= 0.05 else "no significant change",
            *(f"{value:.3f}" if value >= 0.001 else "<0.001" for value in (holm, mcnemar, tested.p)),
        ]  # fmt: skip
        consistency = [metrics.rankc(scores("en", side), scores(code, side)) for side in (0, 1)]
        shown = [f"{value.corrected:.3f}" for value in consistency] if code != "en" else ["–", "–"]
        assert rows[code][8:10] == shown
        assert rows[code][-1] == "400"
    measures = compare_runs(*runs).tasks["xnli"].figures
    for name, caption in (
        ("without_prior", "accuracy without the options' priors, %"),
        ("discrimination", "right option preferred within groups, % (chance 50)"),
    ):
        _, shown = tables(parsed(pages["compare"]))[f"xnli: {caption}"]
        for row, figure in measures.items():
            one = getattr(figure, name)
            means = [f"{100 * mean:.1f}" for mean in one.mean]
            assert shown[row][:3] == [*means, points(one.difference)]
    means = np.mean([shares[code] for code in WEIGHTS], axis=0)
    assert rows["mean"][:2] == [f"{100 * mean:.1f}" for mean in means]
    assert (rows["fr"][4], rows["sw"][4]) == ("better", "worse")
    assert rows["es"][4] == "no significant change"


def test_what_got_better_and_what_worse_stands_first(pages):
    root = parsed(pages["compare"])
    first = root.find("body/main/section")
    said = dict(zip(texts(first.iter("dt")), texts(first.iter("dd")), strict=True))
    change = {code: points(right(code, 1).mean() - right(code, 0).mean()) for code in WEIGHTS}
    assert said == {
        "▲better": f"fr {change['fr']}",
        "▼worse": f"sw {change['sw']}",
        "○no significant change": f"es {change['es']} en {change['en']}",
    }
    assert "points; chance is 33.3%" in "".join(first.itertext())


def test_the_page_of_a_run_has_the_figures_of_its_metrics(runs, pages):
    found = json.loads((runs[1] / "xnli" / "metrics.json").read_text())
    shown = tables(parsed(pages["run"]))
    header, rows = shown["xnli by language"]
    assert list(rows) == list(found["languages"])
    for code, figure in found["languages"].items():
        row = dict(zip(header[1:], rows[code], strict=True))
        low, high = figure["interval"]
        assert row["accuracy, %"] == f"{100 * right(code, 1).mean():.1f}"
        assert row["95% interval"] == f"[{100 * low:.1f}, {100 * high:.1f}]"
        assert row["within groups, %"] == f"{100 * figure['discrimination']:.1f}"
        assert row["without prior, %"] == f"{100 * figure['accuracy_without_prior']:.1f}"
        if code != "en":
            assert row["RankC"] == f"{figure['rankc']['corrected']:.3f}"
            assert row["RankC official"] == f"{figure['rankc']['official']:.3f}"
            assert row["behind en"] == f"{100 * found['gap_to_english'][code]:.1f}"
    _, means = shown["means of every task"]
    worst = min(WEIGHTS, key=lambda code: right(code, 1).mean())
    assert means["xnli"][2] == f"{worst} {100 * right(worst, 1).mean():.1f}"


def test_translation_is_a_table_with_both_runs(pages):
    shown = tables(parsed(pages["compare"]))
    header, rows = shown["translation by language"]
    assert header == ["language", "before", "after", "before", "after"]
    for code, (before, after) in BLEU.items():
        intervals = [f"[{value - 1:.4g}, 30.5]" for value in (before, after)]
        assert rows[code] == [f"{before:.4g}", f"{after:.4g}", *intervals]
    assert shown["translation, the rest"][1] == {"signature.bleu": ["nrefs:1|tok:13a"] * 2}


def test_perplexity_stands_with_what_changed(tmp_path):
    before, after = {"en": 10.0, "sw": 12.5}, {"en": 9.0, "sw": 50.0}
    for name, values in (("a", before), ("b", after)):
        languages = {
            code: {"perplexity": p, "tokens": 99, "windows": 1, "by_window": [-math.log(p)]}
            for code, p in values.items()
        }
        write_json(tmp_path / name / "perplexity" / "metrics.json", {"languages": languages})
    root = made(tmp_path / "b", against=tmp_path / "a")
    first, second, *_ = root.find("body/main")
    assert (first.get("id"), second.get("id")) == ("changes", "perplexity")
    chips = [(c.get("title"), *texts([c])) for c in first.iter("span") if c.get("class") == "chip"]
    assert chips == [("12.5 → 50", "sw × 4.000"), ("10 → 9", "en × 0.900")]
    assert verdicts_of(first)["◆not tested"] == "sw × 4.000 en × 0.900"


def verdicts_of(section):
    """Verdict → the languages that have it."""
    return dict(zip(texts(section.iter("dt")), texts(section.iter("dd")), strict=True))


def test_perplexity_is_worse_above_an_interval_that_contains_1(tmp_path):
    rng = np.random.default_rng(0)
    shifts, sizes = {"de": 0.0, "fr": 0.3, "sw": -0.3}, rng.integers(80, 120, 30)
    parts = {
        code: (rng.normal(-2.5, 0.3, 30), rng.normal(s, 0.2, 30)) for code, s in shifts.items()
    }
    for name, side in (("a", 0), ("b", 1)):
        languages = {}
        for code, (before, rise) in parts.items():
            sums = (before - side * rise) * sizes
            languages[code] = {
                "perplexity": math.exp(-sums.sum() / sizes.sum()),
                "tokens": int(sizes.sum()),
                "windows": 1,
                "by_window": [-2.5],
                "by_part": [[s, int(n)] for s, n in zip(sums.tolist(), sizes, strict=True)],
            }
        write_json(tmp_path / name / "perplexity" / "metrics.json", {"languages": languages})
    root = made(tmp_path / "b", against=tmp_path / "a")
    shown, found = (
        tables(root)["perplexity by language"][1],
        verdicts_of(root.find("body/main/section")),
    )
    words = {"fr": "worse", "sw": "better", "de": "no significant change"}
    for code, (_, rise) in parts.items():
        mean = (rise * sizes).sum() / sizes.sum()
        reach = 2.0452 * np.std(30 / sizes.sum() * sizes * (rise - mean), ddof=1) / math.sqrt(30)
        bounds = [math.exp(mean - reach), math.exp(mean + reach)]  # Student's t of 30 parts
        assert shown[code][-1] == words[code]
        expected = f"[{bounds[0]:.3f}, {bounds[1]:.3f}]"
        assert shown[code][-2] == expected
        [line] = [text for verdict, text in found.items() if verdict.endswith(words[code])]
        assert line == f"{code} × {math.exp(mean):.3f} {expected}"
        assert words[code] == (
            "worse" if bounds[0] > 1 else "better" if bounds[1] < 1 else words["de"]
        )


def test_a_model_at_chance_gives_no_verdict(tmp_path):
    """Wilson's interval of the dense accuracy contains a third; pruned, the model is significantly better."""
    for side, share in ((0, 0.33), (1, 0.9)):
        right = np.arange(400) < 400 * share
        options = np.where(right[:, None], np.eye(3)[LABELS], np.eye(3)[(LABELS + 1) % 3])
        of_language = Scored(options.astype(np.float32), LABELS, np.arange(400, dtype=np.int32))
        folder = tmp_path / str(side) / "xnli"
        write_json(folder / "metrics.json", to_json(metrics.task_metrics({"fr": of_language})))
        np.savez(folder / "fr.npz", **of_language.arrays)
    root = made(tmp_path / "1", against=tmp_path / "0")
    _, rows = tables(root)["xnli: changes by language"]
    assert rows["fr"][2:5] == ["+57.0", rows["fr"][3], "at chance: cannot tell"]
    assert verdicts_of(root.find("body/main/section"))["○at chance: cannot tell"] == "fr +57.0"
    assert any(
        told.endswith(", no significant change") for told in titles(root, "Change in accuracy")
    )
    for side, said in (("0", "at chance"), ("1", "–")):
        header, rows = tables(made(tmp_path / side))["xnli by language"]
        assert (rows["fr"][3] if "" in header else "–") == said


def test_continuations_stand_side_by_side_and_folded(tmp_path):
    for name, text in (("a", " sings"), ("b", " <b>ate")):
        said = {"fr": [{"beginning": "the bird", "text": text}, {"beginning": "a", "text": ""}]}
        figures = {
            "languages": {
                "fr": {"perplexity": 9.0, "tokens": 9, "windows": 1, "by_window": [-2.2]}
            },
            "continuations": said,
        }
        write_json(tmp_path / name / "perplexity" / "metrics.json", figures)
    root = made(tmp_path / "b", against=tmp_path / "a")
    [folded] = root.find(".//section[@id='continuations']").iter("details")
    assert folded.find("summary").text == "fr"
    rows = {"the bird": ["sings", "<b>ate"], "a": ["(end of text)"] * 2}
    assert tables(folded)["fr, continued"] == (["beginning", "before", "after"], rows)
    alone = tables(made(tmp_path / "b"))["fr, continued"]
    assert alone == (["beginning", "continuation"], {one: row[1:] for one, row in rows.items()})


def test_chance_is_drawn_where_accuracy_is(pages):
    for name, task in (("run", "accuracy"), ("compare", "before")):
        told = titles(parsed(pages[name]), "Accuracy")
        assert told[0] == "chance: 33.33"  # three options
        assert any(title.startswith(f"fr, {task}: ") for title in told)


def test_where_there_is_nothing_to_see_a_sentence_says_so(tmp_path):
    prune(tmp_path)
    analyse(tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    kernels = dict.fromkeys(SPARSITY["kernels"], 0.3)
    report["sparsity"] = {"overall": 0.3, "layers": [0.3] * 3, "kernels": kernels}
    write_json(tmp_path / "report.json", report)
    file = tmp_path / "analysis" / "overlap.npz"
    with np.load(file) as arrays:
        found = dict(arrays)
    found |= {name: np.zeros_like(v) for name, v in found.items() if name.endswith("bottom")}
    np.savez(file, **found)
    root = made(tmp_path)
    drawn = {figure.find("figcaption/b").text for figure in root.iter("figure")}
    said = ["".join(p.itertext()) for p in root.iter("p")]
    assert not any("Dropped" in name or "in smallest" in name for name in drawn)
    assert "hidden, largest in largest, % over layers" in drawn
    assert "hidden, largest in smallest, % over layers: 0 in every cell." in said
    assert any(
        s.endswith("dropped, the same in every layer, the same in every kernel.") for s in said
    )


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
    stats, found = analyse(tmp_path)
    told = titles(root, "hidden, largest in largest, % over layers")
    roles = stats.roles
    assert told[:6] == [
        f"{roles[a]}, {roles[b]}: {100 * found['hidden'].top[:, a, b].mean():.0f}"
        for a in range(3)
        for b in range(3)
        if a != b
    ]
    told = titles(root, "hidden, largest in largest, % by layer")
    within = 100 * found["hidden"].halves_top[:, :2].mean(axis=-1)
    assert {f"two halves of monolingual, {i}: {v:.0f}" for i, v in enumerate(within)} <= set(told)
    told = titles(root, "hidden, largest over median")
    norms = stats.norms("monolingual/fr")["hidden"][1]
    assert told[4] == f"monolingual/fr, 1: {norms.max() / np.median(norms):.1f}"
    assert titles(root, "IoU of masks, %") == ["a, b: 33.3", "b, a: 33.3"]
    facts = dict(zip(texts(root.iter("dt")), texts(root.iter("dd")), strict=True))
    assert facts["weights dropped"] == "29.8% of the pruned kernels (requested: 30%)"
    assert facts["calibrated on"] == "fr → en; translation: 8,874 tokens"


def test_settings_that_differ_are_bold(pages):
    root = parsed(pages["compare"])
    [table] = [t for t in root.iter("table") if t.find("caption").text == "xnli"]
    bold = {texts(row)[0]: row.find("td/strong") is not None for row in table.find("tbody")}
    assert bold == {"task": False, "protocol": False, "labels": False, "model": True}
    header, rows = tables(root)["Pruning"]  # the dense run has no config: no column for it
    assert header == ["field", "after"]
    assert rows["pruning.sparsity"] == ["0.3"]
    assert rows["model"] == ["bigscience/bloom-560m"]


def test_settings_with_their_defaults_are_folded_away(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        evaluate(tmp_path / name, 0)
        config = {"seed": seed, "mesh": {"data": -1}, "dtype": "float32", "model": "m"}
        config |= {"rows": seed - 1000, "cached": bool(seed)}
        write_json(tmp_path / name / "config.json", config)
    defaults = {"seed": 0, "mesh.data": -1, "dtype": "bfloat16"}
    out = tmp_path / "page.html"
    write_report(tmp_path / "b", tmp_path / "a", out, defaults=defaults)
    root = parsed(out.read_text(encoding="utf-8"))
    shown = tables(root)
    rows = {"seed": ["0", "1"], "dtype": ["float32"] * 2, "model": ["m"] * 2}
    rows |= {"rows": ["−1,000", "−999"], "cached": ["false", "true"]}
    assert shown["Pruning"] == (["field", "before", "after"], rows)
    assert shown["Pruning, defaults"][1] == {"mesh.data": [f"{MINUS}1"] * 2}
    [summary] = [s for s in root.iter("summary") if "defaults" in s.text]
    assert summary.text == "fields with their defaults: 1"


def test_settings_of_earlier_runs_lose_their_paths():
    earlier = [{"model": "/home/a/m", "recovery": {"run": "/home/a/b"}}]
    assert flatten({"recoveries": earlier}) == {"recoveries": "[model: m, recovery.run: b]"}


def test_the_next_command_names_a_folder_of_any_name(tmp_path):
    run = tmp_path / "lr=0.1 fr+sw"
    prune_from_config(job("nano/bloom", pruning__criterion="magnitude"), run)
    write_report(run, None, tmp_path / "page.html")
    page = parsed((tmp_path / "page.html").read_text(encoding="utf-8"))
    commands = ["".join(one.itertext()).split() for one in page.iter("code")]
    [words] = [shlex.split(" ".join(one)) for one in commands if "evaluate" in one]
    assert words[-1] == "--config.model=lr=0.1 fr+sw/hf"


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
    write_report(last, None, tmp_path / "page.html")
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
    write_json(run / "more" / "metrics.json", {"languages": {HOSTILE: {HOSTILE: HOSTILE}}})
    root = made(run)
    assert root.find("body/header/h1").text == "a<b>&'c"
    assert not list(root.iter("script"))
    assert not list(root.iter("i"))
    shown = HOSTILE.replace("\x00", "\ufffd")
    facts = dict(zip(texts(root.iter("dt")), texts(root.iter("dd")), strict=True))
    assert facts["model"] == shown
    assert tables(root)["more by language"] == (["language", shown], {shown: [shown]})


def test_parts_that_are_absent_are_left_out(tmp_path):
    sections = {}
    for name, make in (("pruned", prune), ("analysed", analyse)):
        make(tmp_path / name)
        sections[name] = [s.get("id") for s in made(tmp_path / name).iter("section")]
    assert sections == {
        "pruned": ["sparsity", "magnitudes", "settings"],
        "analysed": ["magnitudes", "overlap"],
    }
    evaluate(tmp_path / "evaluated", 0)
    assert [s.get("id") for s in made(tmp_path / "evaluated").iter("section")] == [
        "accuracy", "task-translation", "task-xnli", "settings",
    ]  # fmt: skip


def test_odd_metrics_are_shown_as_they_are(tmp_path):
    write_json(tmp_path / "other" / "metrics.json", {"loss": "nan", "steps": ["fr"]})
    write_json(tmp_path / "half" / "metrics.json", {"languages": {"fr": {"accuracy": 0.5}}})
    write_json(tmp_path / "none" / "metrics.json", {"task": "none"})
    shown = tables(made(tmp_path))
    assert shown["other, the rest"][1] == {"steps": ["[fr]"], "loss": ["nan"]}
    assert shown["half by language"] == (["language", "accuracy"], {"fr": ["0.5"]})


def test_metrics_that_lack_figures_are_shown_without_them(tmp_path):
    """As another program may write them."""
    languages = {code: {"accuracy": 0.5, "interval": [0.4, 0.625]} for code in ("en", "fr")}
    languages["fr"]["rankc"] = {"corrected": 0.75}
    write_json(tmp_path / "xnli" / "metrics.json", {"languages": languages})
    root = made(tmp_path)
    shown = tables(root)
    assert shown["xnli by language"] == (
        ["language", "accuracy, %", "95% interval", "RankC"],
        {"en": ["50.0", "[40.0, 62.5]", "–"], "fr": ["50.0", "[40.0, 62.5]", "0.750"]},
    )
    assert shown["means of every task"] == (["task"], {"xnli": []})
    assert titles(root, "Accuracy") == [
        "en, accuracy: 50 [40, 62.5]",
        "fr, accuracy: 50 [40, 62.5]",
    ]


def test_runs_with_translations_only_are_compared(tmp_path):
    references = [f"the small cat number {i} sleeps in the garden" for i in range(20)]
    hypotheses = [references, [line.replace("sleeps", "is") for line in references]]
    for side, lines in enumerate(hypotheses):
        pairs = zip(lines, references, strict=True)
        rows = [{"hypothesis": line, "reference": reference} for line, reference in pairs]
        folder = tmp_path / str(side) / "translation"
        write_json(
            folder / "metrics.json",
            {"protocol": {"target": "en", "shots": 4, "beams": 1, "max_new_tokens": 9}},
        )
        (folder / "fr.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, rows = tables(made(tmp_path / "1", against=tmp_path / "0"))["translation by language"]
    bleu = [sacrebleu.corpus_bleu(lines, [references]).score for lines in hypotheses]
    assert rows["fr"][:3] == ["20", *(f"{score:.1f}" for score in bleu)]


def refused(message, run, against=None, out=None):
    with pytest.raises(InputError, match=message):
        write_report(run, against, out)


def test_refusals(runs, tmp_path):
    dense, _ = runs
    refused("none: no such folder", tmp_path / "none")
    refused("nothing to report; expected report.json", tmp_path)
    refused("a folder or device; allowed: a file", dense, None, tmp_path)
    refused("a folder or device; allowed: a file", dense, None, Path(os.devnull))
    prune(tmp_path / "pruned")
    refused("pruned: not evaluated; expected <task>/<language>.npz", tmp_path / "pruned", dense)
    refused("pruned: not evaluated", dense, tmp_path / "pruned")
    evaluate(tmp_path / "other", 0, task="marc2")
    (tmp_path / "other" / "translation" / "metrics.json").unlink()
    refused("no task and language in both runs", tmp_path / "other", dense)
    report = tmp_path / "pruned" / "report.json"
    for text, message in (
        ("{", "report.json: not JSON"),
        ("[]", "report.json: expected a JSON obj"),
    ):
        report.write_text(text)
        refused(message, tmp_path / "pruned")
    analyse(tmp_path / "analysed")
    (tmp_path / "analysed" / "analysis" / "overlap.npz").write_bytes(b"PK")
    refused("overlap.npz: damaged", tmp_path / "analysed")


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
