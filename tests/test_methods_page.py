"""docs/guide/methods.md against studies/methods: the table is made of the cells, intervals are those of a bootstrap."""

import json
import math
from pathlib import Path

import methods
import own_text
from cells import read

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/guide/methods.md").read_text(encoding="utf-8")
CELLS = json.loads((ROOT / "studies/methods/cells.json").read_text(encoding="utf-8"))
WHOLE = json.loads((ROOT / "studies/methods/whole.json").read_text(encoding="utf-8"))


def test_the_table_is_made_of_the_cells():
    assert methods.written(PAGE, CELLS, WHOLE) == PAGE
    assert {"dense", "wanda"} <= CELLS.keys()


def test_recovery_closes_half_of_the_gap():
    """Of log-perplexity between the dense model and Wanda, on all lines, in less than 20 minutes."""
    before, after = (methods.rise(WHOLE[n], WHOLE["dense"])[0] for n in ("wanda", "wanda_distil2"))
    assert 1 - after / before > 0.5
    assert CELLS["wanda_distil2"]["seconds"] < 20 * 60


def test_windows_after_refit_remove_nearly_half_in_less_memory():
    """Of Wanda's loss; the memory is that of two blocks against that of `distil` from the same model."""
    before, after = (methods.rise(CELLS[n], CELLS["dense"])[0] for n in ("wanda", "refit_window2"))
    assert 1 - after / before > 0.45
    assert CELLS["refit_window2"]["memory"] < 0.4 * CELLS["refit_distil2"]["memory"]


def rise(one, other, cells=CELLS):
    """As the page writes it, or without its interval."""
    middle, low, high = methods.rise(cells[one], cells[other])
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def test_sentences_of_the_page():
    """Differences are paired; what one pattern, allocation or combination does is said of all its rows."""
    for one, other, cells in (
        ("wanda_distil2", "sparsegpt_distil2", WHOLE), ("wanda", "dsnot", CELLS),
        ("ria", "wanda", CELLS), ("ria_24", "wanda_24", CELLS),
        ("sparsegpt", "sparsegpt_400", CELLS), ("dsnot", "dsnot_400", CELLS),
    ):  # fmt: skip
        assert rise(one, other, cells) in PAGE
    assert f"{methods.rise(WHOLE['wanda'], WHOLE['sparsegpt'])[0]:.3f}" in PAGE
    for pair in (("dsnot_24", "wanda_24"), ("wanda", "wanda_400"), ("ria", "ria_400")):
        low, high = methods.rise(*(CELLS[key] for key in pair))[1:]
        assert low < 0 < high

    def changes(ending, base=""):
        pairs = ((key, key.removesuffix(ending)) for key in CELLS if key.endswith(ending))
        return [methods.rise(CELLS[a], CELLS[b])[0] for a, b in pairs if a.startswith(base)]

    means = changes("_mean")
    assert min(means) < 0 < max(means)
    assert round(max(map(abs, means)), 3) == 0.031
    largest = changes("_max", "wanda")
    assert (round(min(largest), 2), round(max(largest), 2)) == (0.01, 0.04)
    for allocation in ("_owl", "_alpha"):
        # below 0 at most by what three decimals do not show
        assert min(changes(allocation)) > -0.0005


def test_the_table_of_own_text_is_made_of_its_cells():
    page, cells = own_text.PAGE.read_text(encoding="utf-8"), read(own_text.CELLS)
    assert own_text.written(page, cells) == page
    rises = []
    for code in own_text.LANGUAGES:
        dense, once = (
            sum(part[0] for part in cells[name]["parts"][code]) for name in ("dense", "once")
        )
        rises.append((dense - once) / sum(part[1] for part in cells["dense"]["parts"][code]))
    assert f"| {math.exp(sum(rises) / 4):.2f} [" in page
