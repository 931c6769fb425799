"""docs/real_models.md against the scores in studies/: its tables are what they give, and nobody typed a figure."""

import csv
import importlib.util
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from run_json import read_record
from scipy.special import softmax

from jaxprune.sweep import rebuild
from jaxprune.sweep.tables_json import SweepTables

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "real_models.md").read_text(encoding="utf-8")
STUDIES = sorted(file.parent for file in (ROOT / "studies").rglob("sweep.json"))
# A line of the page that says where the table under it is from, and what it is if tables.md does not have it.
FROM = r"<!-- (studies/[^ ,]+)(?:, ([^>]+))? -->\n\n((?:\|.*\n)+)"


@pytest.fixture(scope="module", params=STUDIES, ids=lambda folder: folder.name)
def study(request, tmp_path_factory):
    """(the folder of its scores, one with tables made of them)."""
    there = tmp_path_factory.mktemp("study") / "sweep"
    shutil.copytree(request.param, there)
    rebuild(there)
    return request.param, there


def quoted(folder, what=""):
    """The page's tables of that, as they stand there."""
    name = str(folder.relative_to(ROOT))
    return [text for of, about, text in re.findall(FROM, PAGE) if (of, about) == (name, what)]


def table_of(folder, what):
    """The cells of the page's one table of that: its heading, and its rows."""
    (table,) = quoted(folder, what)
    rows = [[c.strip(" `") for c in line.split("|")[1:-1]] for line in table.splitlines()]
    return rows[0], rows[2:]


def test_tables_on_the_page_are_made_of_the_scores(study):
    folder, there = study
    made = (there / "tables.md").read_text(encoding="utf-8")
    tables = quoted(folder)
    assert len(tables) >= 4
    for table in tables:
        assert f"\n\n{table}\n" in made


def test_every_row_of_every_language_was_scored(study):
    """And accuracies are those of a plain count."""
    folder, there = study
    lines = csv.DictReader((there / "tables.csv").read_text(encoding="utf-8").splitlines())
    by_variant = {}
    for line in lines:
        if line["task"] == "xnli" and (line["table"] == "all" or line["calibration"] == "dense"):
            parts = (line["calibration"], line["calibration_language"], line["sparsity"])
            by_variant["-".join(filter(None, parts)), line["language"]] = line
    files = sorted(folder.glob("*/xnli/*.npz"))
    assert len(files) >= 55
    for file in files:
        with np.load(file) as arrays:
            scores, labels = arrays["scores"].astype(np.float64), arrays["labels"]
        assert scores.shape == (501, 3)
        line = by_variant[file.parts[-3], file.stem]
        assert float(line["accuracy"]) == pytest.approx((scores.argmax(1) == labels).mean())
        right = softmax(scores, axis=1)[np.arange(501), labels]
        assert float(line["probability"]) == pytest.approx(right.mean(), rel=1e-5)


def perplexities(folder, variant):
    """What metrics.json says, by language."""
    return json.loads((folder / variant / "perplexity" / "metrics.json").read_text())["languages"]


def test_ratios_to_plain_text(study):
    """The page's own tables, cell by cell, by scipy's paired test over windows."""
    folder, _ = study
    heading, rows = table_of(folder, "over monolingual")
    assert heading == ["", "fr", "ru", "zh", "sw"]
    found = [path.name.split("-fr-") for path in folder.glob("*-fr-*")]
    assert {row[0] for row in rows} == {
        f"{kind} {float(sparsity):.0%}" for kind, sparsity in found if kind != "monolingual"
    }
    for label, *cells in rows:
        kind, _, percent = label.partition(" ")
        for code, cell in zip(heading[1:], cells, strict=True):
            name = f"{code}-0.{percent[0]}"
            plain, other = (
                np.array(perplexities(folder, f"{one}-{name}")[code]["by_window"])
                for one in ("monolingual", kind)
            )
            test = scipy.stats.ttest_rel(plain, other)
            bounds = np.exp(test.confidence_interval(0.95))
            ratio = np.exp((plain - other).mean())
            assert cell == f"{ratio:.3f} [{bounds[0]:.3f}, {bounds[1]:.3f}]"


SITES = ("hidden", "qkv", "attention_out", "mlp_in", "mlp_out")
# Which pairs of sets, each (kind, language), a line of the page's table of overlaps is the mean of.
PAIRS = {
    "two languages, plain text": lambda a, b: a[0] == b[0] == "monolingual" and a[1] != b[1],
    "two languages, translations": lambda a, b: a[0] == b[0] == "translation" and a[1] != b[1],
    "a language and its translations": lambda a, b: a[0] != b[0] and a[1] == b[1],
    "English and translations": lambda a, b: a[1] == "en" and b[0] == "translation",
}
HALVES = {"two halves of plain text": "monolingual", "two halves of translations": "translation"}


def test_overlaps_of_large_features(study):
    folder, _ = study
    heading, rows = table_of(folder / "analysis", "overlap")
    assert heading == ["", *SITES]
    assert [row[0] for row in rows] == [*PAIRS, *HALVES]
    with np.load(folder / "analysis" / "overlap.npz") as arrays:
        sets = [tuple(name.split("/")) for name in arrays["sets"]]
        for label, *cells in rows:
            for site, cell in zip(SITES, cells, strict=True):
                if label in HALVES:
                    kept = [kind == HALVES[label] for kind, _ in sets]
                    found = arrays[f"{site}/halves_top"][:, kept]
                else:
                    kept = np.array([[PAIRS[label](a, b) for b in sets] for a in sets])
                    found = arrays[f"{site}/top"][:, kept]
                assert cell == f"{100 * found.mean(dtype=np.float64):.1f}"


def test_where_outliers_sit(study):
    folder, _ = study
    _, rows = table_of(folder / "analysis", "outliers")
    assert [row[0] for row in rows] == [*SITES]
    text = (folder / "analysis" / "largest.csv").read_text(encoding="utf-8")
    largest = [line for line in csv.DictReader(text.splitlines()) if line["rank"] == "1"]
    for site, where, times, alike in rows:
        layers = {}
        for line in largest:
            if line["site"] == site:
                found = int(line["feature"]), float(line["norm_over_median"])
                layers.setdefault(int(line["layer"]), []).append(found)
        most = max(layers, key=lambda layer: np.mean([height for _, height in layers[layer]]))
        features, heights = zip(*layers[most], strict=True)
        either = " or ".join(str(feature) for feature, _ in Counter(features).most_common())
        assert where == f"layer {most}, feature {either}"
        assert times == f"{min(heights):.0f} to {max(heights):.0f}"
        one = sum(len({feature for feature, _ in found}) == 1 for found in layers.values())
        assert alike == f"{one} of {len(layers)}"


def drawer():
    """docs/figures/studies.py, which is no module of a package."""
    spec = importlib.util.spec_from_file_location("studies", ROOT / "docs/figures/studies.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_show_the_scores(study):
    """Each dot is a perplexity over the dense model's, and nothing is left out."""
    folder, there = study
    draw, drawn = drawer(), []
    found = read_record(SweepTables, there / "tables.json").perplexity
    for panel in draw.picture(folder.name, found).view["concat"]:
        percent, what = panel["title"]["text"].split("%, ")
        points = [point for layer in panel["layer"] for point in layer["data"]["values"]]
        for point in (point for point in points if "series" in point):
            code = point["name"] if what.startswith("text") else "en"
            if mixed := point["series"] == draw.MIXTURE:
                kind, language = "monolingual", "fr+ru+zh+sw"
            else:
                (kind,) = (kind for kind, name in draw.NAMES.items() if name == point["series"])
                language = point["name"]
            assert mixed or what.startswith("English") or language == code
            variant = f"{kind}-{language}-0.{percent[0]}"
            pruned, dense = (
                perplexities(folder, name)[code]["perplexity"] for name in (variant, "dense")
            )
            assert point["value"] == pytest.approx(pruned / dense)
            drawn.append((variant, code))
    expected = {
        (path.parent.name, code)
        for path in folder.glob("[mt]*-*-0.?/perplexity")
        if not re.match(r"translation.*\+|magnitude", path.parent.name)
        for code in perplexities(folder, path.parent.name)
    }
    assert {*drawn} == expected
    assert f"(figures/{folder.name}.png)" in PAGE
