"""docs/guide/shrink.md against studies/shrinking: the table is made of the cells, and the sentences hold."""

import json
from pathlib import Path

import shrink

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/guide/shrink.md").read_text(encoding="utf-8")
CELLS = json.loads((ROOT / "studies/shrinking/cells.json").read_text(encoding="utf-8"))


def test_the_table_is_made_of_the_cells():
    assert shrink.written(PAGE, CELLS) == PAGE


def rises(name):
    found, dense = CELLS[name]["bits"], CELLS["dense"]["bits"]
    return {code: found[code] / dense[code] - 1 for code in dense}


def test_neurons_and_recovery_as_the_page_says():
    narrow = rises("mlp75").values()
    assert (round(min(narrow), 2), round(max(narrow), 2)) == (0.14, 0.24)
    before, after = rises("layers16_words"), rises("layers16_words_distil")
    assert all(after[code] < before[code] / 2 for code in before)
    assert (round(before["en"], 2), round(after["en"], 3)) == (0.22, 0.095)


def test_frequent_words_keep_bits_per_byte_as_the_page_says():
    found = rises("sw50000")
    assert max(found.values()) == found["en"] < 0.015
    assert all(rise < 0.01 for code, rise in found.items() if code != "en")
