"""docs/guide/shrink.md against studies/shrinking: the table is made of the cells, and the sentences hold."""

import json
from pathlib import Path

import shrink

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/guide/shrink.md").read_text(encoding="utf-8")
CELLS = json.loads((ROOT / "studies/shrinking/cells.json").read_text(encoding="utf-8"))


def test_the_table_is_made_of_the_cells():
    assert shrink.written(PAGE, CELLS) == PAGE


def test_frequent_words_keep_bits_per_byte_as_the_page_says():
    found, dense = CELLS["sw50000"]["bits"], CELLS["dense"]["bits"]
    rises = {code: found[code] / dense[code] - 1 for code in dense}
    assert max(rises.values()) == rises["en"] < 0.015
    assert all(rise < 0.01 for code, rise in rises.items() if code != "en")
