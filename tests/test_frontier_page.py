"""docs/frontier.md against studies/frontier: the table is made of the cells, and the sentences hold."""

from pathlib import Path

import frontier

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/frontier.md").read_text(encoding="utf-8")
BY_MODEL = frontier.read_all()
CELLS = BY_MODEL["gemma3-270m"]


def test_the_tables_are_made_of_the_cells():
    assert frontier.written(PAGE, BY_MODEL) == PAGE


def test_words_in_8_bits_as_the_page_says():
    dense, one = CELLS["dense"], CELLS["words, Q8_0"]
    rises = frontier.rises(one, dense)
    assert round(frontier.mean_rise(one, dense), 3) == 0.006
    assert (max(rises, key=rises.get), round(rises.pop("en"), 3)) == ("en", 0.014)
    assert max(rises.values()) < 0.0075
    assert round(frontier.rate(one, "llama.cpp", frontier.RATES[0]), 1) == 2.3


def test_other_sentences_of_the_page():
    dense, generate = CELLS["dense"], frontier.RATES[0]

    def rate(name, program):
        return frontier.rate(CELLS[name], program, generate)

    sizes = [CELLS[f"dense, {kind}"]["gigabytes"] for kind in ("Q4_0", "Q8_0")]
    assert round(1 - sizes[0] / sizes[1], 2) == 0.17
    assert round(frontier.mean_rise(CELLS["dense, Q4_0"], dense), 2) == 0.14
    assert round(frontier.mean_rise(CELLS["words, 16 layers, recovered"], dense), 2) == 0.07
    speedup = rate("words, 16 layers, recovered, Q8_0", "llama.cpp") / rate(
        "words, Q8_0", "llama.cpp"
    )
    assert round(speedup, 2) == 1.15
    rates = [round(rate("12 layers", program), 1) for program in frontier.PROGRAMS]
    assert rates == [1.2, 1.1]
