"""docs/frontier.md against studies/frontier: the table is made of the cells, and the sentences hold."""

from pathlib import Path

import frontier

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/frontier.md").read_text(encoding="utf-8")
BY_MODEL = frontier.read_all()
CELLS = BY_MODEL["gemma3-270m"]


def test_the_tables_are_made_of_the_cells():
    assert frontier.written(PAGE, BY_MODEL) == PAGE


def rate(name, program="llama.cpp", cells=CELLS):
    return frontier.rate(cells[name], program, frontier.RATES[0])


def mean_rise(name, cells=CELLS):
    return frontier.mean_rise(cells[name], cells["dense"])


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
    recovered = [mean_rise(f"{kind} 50%, recovered") for kind in ("Wanda", "SparseGPT")]
    assert [round(rise, 2) for rise in recovered] == [0.15, 0.15]
    shallow = "words, 16 layers, recovered"
    assert round(rate(f"{shallow}, Q8_0") / rate("words, Q8_0"), 2) == 1.08
    assert round(mean_rise(shallow), 2) == 0.07
    assert round(100 * CELLS[shallow]["discrimination"][1]) == -4
    assert CELLS[shallow]["discrimination"][3] < 0
    assert round(rate("12 layers", "transformers"), 2) == 1.15


def test_the_sentences_on_the_coder():
    cells = BY_MODEL["qwen2.5-coder-0.5b"]
    size = {
        name: one["gigabytes"] / cells["dense, F16"]["gigabytes"] for name, one in cells.items()
    }
    assert [round(size[name], 2) for name in ("dense, Q4_0", "words, Q8_0")] == [0.34, 0.42]
    assert round(rate("dense, Q4_0", cells=cells), 1) == 1.9
    assert round(rate("words, Q8_0", cells=cells), 1) == 1.6
    rises = {name: round(100 * mean_rise(name, cells), 1) for name in cells}
    assert (rises["dense, Q4_0"], rises["words, Q8_0"]) == (2.9, 0.3)
    assert [rises[f"{kind} 50%"] for kind in ("Wanda", "SparseGPT")] == [10.6, 11.5]
    assert rises["SparseGPT 50%, recovered"] == 6.7
    changes = {name: one["discrimination"] for name, one in cells.items() if one["discrimination"]}
    assert round(100 * changes["Wanda 50%"][1], 1) == -3.8
    assert changes["Wanda 50%"][3] < 0
    better = [changes[name][1] for name in ("SparseGPT 50%, recovered", "int4 (torchao)")]
    assert [round(100 * change, 1) for change in better] == [2.3, 2.5]
