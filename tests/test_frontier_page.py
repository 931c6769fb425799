"""docs/frontier.md against studies/frontier: the table is made of the cells, and the sentences hold."""

from pathlib import Path

import frontier
from cells import read
from sources import FILE as SOURCES

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


def size(name, cells=CELLS):
    return cells[name]["gigabytes"] / cells["dense, F16"]["gigabytes"]


def percent(share, digits=0):
    return f"{100 * share:.{digits}f}%"


def test_sentences_on_gemma():
    rises = frontier.rises(CELLS["words, Q8_0"], CELLS["dense"])
    english = rises.pop("en")
    recovered, shallow = "50%, recovered", "words, 16 layers, recovered"
    small = "words, 0.15 GB, GPTQ"
    speed = rate(shallow) / rate("words") - 1
    for sentence in (
        f"`words, Q8_0` has {percent(size('words, Q8_0'))} of the size of `dense, F16`, generates "
        f"{rate('words, Q8_0'):.1f} times as fast, and costs {percent(mean_rise('words, Q8_0'), 1)} more bits per "
        f"byte: {percent(english, 1)} in English, at most {percent(max(rises.values()), 1)} in the other languages.",
        f"since the embedding stays in 8 bits, and cost {percent(mean_rise('dense, Q4_0'))}; rounded by GPTQ on the "
        f"five languages, the same bytes cost {percent(mean_rise('dense, Q4_0, GPTQ'), 1)}. torchao's int8 costs "
        f"{percent(mean_rise('int8 (torchao)'), 1)}, its symmetric int4 {percent(mean_rise('int4 (torchao)'))}.",
        f"`{small}` has {percent(size(small))} of the size of `dense, F16`, generates {rate(small):.1f} times as fast "
        f"(2.0 and 2.1 times in two other runs), and costs {percent(mean_rise(small), 1)} more bits per byte, at most "
        f"{percent(max(frontier.rises(CELLS[small], CELLS['dense']).values()), 1)} in a language.",
        f"after recovery (by `distil`) {percent(mean_rise(f'Wanda {recovered}'))}, and a pruned model",
        f"two of 18 layers give {percent(speed)} more speed in llama.cpp with 16 bits and none with 8, for "
        f"{percent(mean_rise(shallow))} more bits and {-100 * CELLS[shallow]['discrimination'][1]:.0f} points of "
        f"discrimination. With 12 of 18 layers a model generates only {rate('12 layers', 'transformers'):.2f} times as "
        f"fast",
    ):
        assert sentence in PAGE
    assert abs(CELLS["words"]["discrimination"][1]) < 0.002
    assert round(1 / (1 - size("dense, Q4_0") / size("dense, Q8_0"))) == 6
    assert rate(f"{shallow}, Q8_0") <= rate("words, Q8_0")
    assert max(rate(f"{kind} (torchao)", "transformers") for kind in ("int8", "int4")) < 1.02
    assert [round(mean_rise(f"{kind} 50%"), 1) for kind in ("Wanda", "SparseGPT")] == [0.3, 0.3]
    assert round(mean_rise(f"SparseGPT {recovered}"), 2) == round(
        mean_rise(f"Wanda {recovered}"), 2
    )
    assert CELLS[shallow]["discrimination"][3] < 0


def test_sentences_on_the_coder():
    cells = BY_MODEL["qwen2.5-coder-0.5b"]
    rise = {name: percent(mean_rise(name, cells), 1) for name in cells}
    points = {
        name: f"{100 * one['discrimination'][1]:+.1f}"
        for name, one in cells.items()
        if one["discrimination"]
    }
    for sentence in (
        f"`dense, Q4_0, GPTQ` has {percent(size('dense, Q4_0, GPTQ', cells))} of the size of `dense, F16`, and costs "
        f"{rise['dense, Q4_0, GPTQ']} more bits per byte; rounded without text (`dense, Q4_0`), the same bytes cost "
        f"{rise['dense, Q4_0']}. In Gemma it is {percent(mean_rise('dense, Q4_0, GPTQ'), 1)} and "
        f"{percent(mean_rise('dense, Q4_0'))}.",
        f"`words, Q8_0` has {percent(size('words, Q8_0', cells))} of the size, generates "
        f"{rate('words, Q8_0', cells=cells):.1f} times as fast, and costs {rise['words, Q8_0']}.",
        f"Pruning by 50% costs {rise['Wanda 50%']} (Wanda) and {rise['SparseGPT 50%']} (SparseGPT) more bits, after "
        f"recovery of SparseGPT (one epoch) {rise['SparseGPT 50%, recovered']}, at the dense model's size and speed; "
        f"discrimination falls by {points['Wanda 50%'].removeprefix('-')} points after Wanda.",
        f"Discrimination after SparseGPT with recovery ({points['SparseGPT 50%, recovered']} points) and with int4 "
        f"({points['int4 (torchao)']}) is above the dense model's",
    ):
        assert sentence in PAGE
    assert cells["Wanda 50%"]["discrimination"][3] < 0


def test_a_source_file_is_a_row_of_its_size_without_loss():
    for model, cells in BY_MODEL.items():
        assert cells["source file"]["gigabytes"] == read(SOURCES)[model]["gigabytes"]
        assert mean_rise("source file", cells) == 0
    assert f"| source file | {CELLS['source file']['gigabytes']:.2f} | +0.0 |" in PAGE


def test_labels_overlap_neither_points_nor_each_other():
    points = [(100.0 * (place % 3), 4.0 * place) for place in range(9)]
    names = [f"model {place}" for place in range(len(points))]
    boxes = [
        (x, y - 6, x + len(name) * 6.2 * 11 / 12, y + 6)
        for name, (x, y) in zip(names, frontier.label_places(points, names), strict=True)
    ]
    for place, (left, top, right, bottom) in enumerate(boxes):
        for x0, y0, x1, y1 in boxes[:place]:
            assert right <= x0 or x1 <= left or bottom <= y0 or y1 <= top
        assert not any(left < x < right and top < y < bottom for x, y in points)
