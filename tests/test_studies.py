"""docs/real_models.md against the scores in studies/: its tables are what they give, and nobody typed a figure."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from scipy.special import softmax

from jaxprune.sweep import rebuild

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "real_models.md").read_text(encoding="utf-8")
STUDIES = sorted(file.parent for file in (ROOT / "studies").rglob("sweep.json"))
# A line of the page that says where the table under it is from.
FROM = r"<!-- (studies/\S+) -->\n\n((?:\|.*\n)+)"


@pytest.fixture(scope="module", params=STUDIES, ids=lambda folder: folder.name)
def study(request, tmp_path_factory):
    """(the folder of its scores, one with tables made of them)."""
    there = tmp_path_factory.mktemp("study") / "sweep"
    shutil.copytree(request.param, there)
    rebuild(there)
    return request.param, there


def quoted(folder):
    return [text for name, text in re.findall(FROM, PAGE) if name == str(folder.relative_to(ROOT))]


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


def by_window(folder, variant, code):
    metrics = json.loads((folder / variant / "perplexity" / "metrics.json").read_text())
    return np.array(metrics["languages"][code]["by_window"])


def test_translations_over_plain_text(study):
    """The page's own table, cell by cell, by scipy's paired test."""
    folder, _ = study
    table = PAGE.partition("**Translations or plain text?**")[2].partition("\n\n## ")[0]
    rows = [
        [c.strip() for c in line.split("|")[1:-1]] for line in table.splitlines() if "|" in line
    ]
    assert rows[0] == ["", "fr", "ru", "zh", "sw"]
    assert [row[0] for row in rows[2:]] == ["30%", "50%"]
    for sparsity, *cells in rows[2:]:
        for code, cell in zip(rows[0][1:], cells, strict=True):
            name = f"{code}-0.{sparsity[0]}"
            plain, translated = (
                by_window(folder, f"{kind}-{name}", code) for kind in ("monolingual", "translation")
            )
            test = scipy.stats.ttest_rel(plain, translated)
            bounds = np.exp(test.confidence_interval(0.95))
            ratio = np.exp((plain - translated).mean())
            assert cell == f"{ratio:.3f} [{bounds[0]:.3f}, {bounds[1]:.3f}]"
