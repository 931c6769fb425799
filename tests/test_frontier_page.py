"""docs/frontier.md against studies/frontier: the table is made of the cells, and the sentences hold."""

from pathlib import Path

import frontier

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/frontier.md").read_text(encoding="utf-8")
BY_MODEL = frontier.read_all()
CELLS = BY_MODEL["gemma3-270m"]


def test_the_tables_are_made_of_the_cells():
    assert frontier.written(PAGE, BY_MODEL) == PAGE


def rate(name, program="llama.cpp"):
    return frontier.rate(CELLS[name], program, frontier.RATES[0])


def mean_rise(name):
    return frontier.mean_rise(CELLS[name], CELLS["dense"])


def test_words_in_8_bits_as_the_page_says():
    one, sixteen = CELLS["words, Q8_0"], CELLS["dense, F16"]
    rises = frontier.rises(one, CELLS["dense"])
    assert round(one["gigabytes"] / sixteen["gigabytes"], 2) == 0.35
    assert round(mean_rise("words, Q8_0"), 3) == 0.006
    assert (max(rises, key=rises.get), round(rises.pop("en"), 3)) == ("en", 0.014)
    assert max(rises.values()) < 0.0075
    assert round(rate("words, Q8_0"), 1) == 1.9
    assert abs(CELLS["words"]["discrimination"][1]) < 0.002


def test_other_sentences_of_the_page():
    sizes = [CELLS[f"dense, {kind}"]["gigabytes"] for kind in ("Q4_0", "Q8_0")]
    assert round(1 - sizes[0] / sizes[1], 2) == 0.17
    assert round(mean_rise("dense, Q4_0"), 2) == 0.14
    assert abs(mean_rise("int8 (torchao)")) < 0.001
    assert max(rate(f"{kind} (torchao)", "transformers") for kind in ("int8", "int4")) < 1.02
    assert [round(mean_rise(f"{kind} 50%"), 2) for kind in ("Wanda", "SparseGPT")] == [0.31, 0.28]
    assert round(mean_rise("SparseGPT 50%, recovered"), 2) == 0.15
    shallow = "words, 16 layers, recovered"
    assert round(rate(f"{shallow}, Q8_0") / rate("words, Q8_0"), 2) == 1.08
    assert round(mean_rise(shallow), 2) == 0.07
    assert round(100 * CELLS[shallow]["discrimination"][1]) == -4
    assert CELLS[shallow]["discrimination"][3] < 0
    assert round(rate("12 layers", "transformers"), 2) == 1.15
