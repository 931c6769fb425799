"""The example of docs/analysis.md against the measurements in studies/features."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
FEATURES = ROOT / "studies" / "features"
SITES = ("hidden", "qkv", "attention_out", "mlp_in", "mlp_out")
# Which pairs of sets, each (kind, language), a line of the table of overlaps is the mean of.
PAIRS = {
    "two languages, plain text": lambda a, b: a[0] == b[0] == "monolingual" and a[1] != b[1],
    "two languages, translations": lambda a, b: a[0] == b[0] == "translation" and a[1] != b[1],
    "a language and its translations": lambda a, b: a[0] != b[0] and a[1] == b[1],
    "English and translations": lambda a, b: a[1] == "en" and b[0] == "translation",
}
HALVES = {"two halves of plain text": "monolingual", "two halves of translations": "translation"}


def tables():
    """The cells of the two tables of the example, each its heading and its rows."""
    page = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")
    example = page[page.index("## An example") : page.index("## The halves as a baseline")]
    for table in re.findall(r"(?:^\|.*\n)+", example, re.MULTILINE):
        rows = [[c.strip(" `") for c in line.split("|")[1:-1]] for line in table.splitlines()]
        yield rows[0], rows[2:]


def test_overlaps_of_large_features():
    (heading, rows), _ = tables()
    assert heading == ["", *SITES]
    assert [row[0] for row in rows] == [*PAIRS, *HALVES]
    with np.load(FEATURES / "overlap.npz") as arrays:
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


def test_where_outliers_sit():
    _, (_, rows) = tables()
    assert [row[0] for row in rows] == [*SITES]
    text = (FEATURES / "largest.csv").read_text(encoding="utf-8")
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
