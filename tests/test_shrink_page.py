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


def test_sentences():
    narrow, words = rises("mlp75").values(), rises("sw50000")
    before, after = rises("layers16_words"), rises("layers16_words_distil")
    shorter = rises("layers17").values()
    for sentence in (
        f"one of 18 costs {100 * min(shorter):.0f} to {100 * max(shorter):.0f}% more bits",
        f"A quarter of the neurons costs {100 * min(narrow):.0f} to {100 * max(narrow):.0f}% more bits",
        f"{100 * before['en']:.0f}% more bits in English become {100 * after['en']:.1f}%",
        "bits per byte stay within 1.5% in English and 1% in the other languages",
    ):
        assert sentence in PAGE
    assert all(after[code] < before[code] / 2 for code in before)
    assert max(words.values()) == words["en"] < 0.015
    assert all(rise < 0.01 for code, rise in words.items() if code != "en")
