"""docs/guide/methods.md against studies/methods: the table is made of the cells, intervals are those of a bootstrap."""

import json
import math
from pathlib import Path

import methods
import numpy as np

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


def test_differences_are_those_of_a_plain_loop():
    one, dense = CELLS["wanda"], CELLS["dense"]
    middle, low, high = methods.rise(one, dense)
    losses = []
    for code, parts in one["parts"].items():
        total = sum(s for s, _ in parts) / sum(n for _, n in parts)
        before = sum(s for s, _ in dense["parts"][code]) / sum(n for _, n in dense["parts"][code])
        losses.append(before - total)
    assert math.isclose(middle, sum(losses) / len(losses), rel_tol=1e-9)
    assert low < middle < high
    # against the normal interval of a jackknife over lines
    count = len(next(iter(one["parts"].values())))
    without = []
    for left in range(count):
        kept = [
            {"parts": {c: parts[:left] + parts[left + 1 :] for c, parts in cell["parts"].items()}}
            for cell in (one, dense)
        ]
        without.append(methods.rise(*kept)[0])
    error = np.sqrt((count - 1) / count * np.square(np.array(without) - np.mean(without)).sum())
    assert 0.6 < (high - low) / (2 * 1.96 * error) < 1.4
