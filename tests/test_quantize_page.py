"""docs/guide/quantize.md against studies/quantization: the table and the numbers are made of the cells."""

import numpy as np
import quantize
from cells import read

PAGE = quantize.PAGE.read_text(encoding="utf-8")
CELLS = read(quantize.CELLS)


def test_the_table_is_made_of_the_cells():
    assert quantize.written(PAGE, CELLS, read(quantize.QWEN_CELLS)) == PAGE


def test_a_rise_is_that_of_the_bits_of_the_whole_text():
    for code in quantize.LANGUAGES:
        dense, nearest = (sum(CELLS[name][code]) for name in ("dense", "nearest"))
        values = quantize.rises(CELLS, "nearest", "", code)
        mean, low, high = quantize.mean_and_interval(values)
        assert np.isclose(mean, 100 * (nearest / dense - 1))
        error = values.std(ddof=1) / values.size**0.5
        assert 1.9 * error < high - mean < 2.2 * error
        assert np.isclose(high - mean, mean - low)
