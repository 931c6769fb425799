"""Three cells of studies/four_bits, made again from nothing: `pytest -m again`, about 20 minutes on two cores.

Runs where JAXPRUNE_MODELS names a folder that holds gemma3-270m/, smollm2-135m/ and qwen2.5-coder-0.5b/, and
JAXPRUNE_DATA one that holds ntrex/ and flores_full/. Cells of texts that a model writes are left out: a draw takes
longer to write than all three cells.
"""

import random
import subprocess
import sys
from pathlib import Path

import four_bits_cells as cells
import numpy as np
import pytest
from again import DATA, FOLDERS, MARKS

import jaxprune as jp

ROOT = Path(__file__).parents[1]
SOURCES = {
    cells.GEMMA: "gemma3-270m",
    cells.SMOLLM: "smollm2-135m",
    cells.QWEN: "qwen2.5-coder-0.5b",
}
SCORES = cells.read_arrays(cells.SCORES)
MADE = [
    cell
    for cell in cells.cells()
    if cell.scores[0] in SCORES and not cell.text.startswith(cells.WRITTEN)
]
pytestmark = MARKS


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The function that makes a model off its grid, and its calibration texts, once; their folder."""
    out = tmp_path_factory.mktemp("models")

    def make(name: str) -> Path:
        if not (out / name).is_dir():
            for program, *arguments in (
                ("benchmarks/off_grid.py", Path(FOLDERS, SOURCES[name]), out / name),
                (
                    "studies/quantization/calibration.py", out / name, Path(DATA, "ntrex"), out / f"{name}_texts",
                ),
            ):  # fmt: skip
                subprocess.run([sys.executable, ROOT / program, *arguments], check=True)
        return out

    return make


@pytest.mark.parametrize(
    "cell", random.Random(0).sample(MADE, min(3, len(MADE))), ids=lambda cell: cell.name
)
def test_a_cell_has_the_committed_scores(cell, models):
    folder = models(cell.model)
    dense = jp.load(folder / cell.model)
    lines, suffix = cells.STUDY_TEXTS
    batches = cells.calibration(cell, folder / f"{cell.model}_{suffix}")
    again = cells.measured(
        cell, cells.model_of(cell, dense, batches), Path(DATA, "flores_full"), lines
    )
    for name in cell.scores:
        # The same CPU gives the same bits, XLA held to AVX2 moves a run by 2e-8. Another order of sums may round a
        # weight to the other side: with weights changed by 1e-6 of themselves a run moves by 1 to 3%, the sum of
        # runs by 0.2 to 0.5%.
        np.testing.assert_allclose(again[name][:, 0], SCORES[name][:, 0], rtol=2e-2, err_msg=name)
        np.testing.assert_allclose(
            again[name][:, 0].sum(), SCORES[name][:, 0].sum(), rtol=5e-3, err_msg=name
        )
        np.testing.assert_array_equal(again[name][:, 1], SCORES[name][:, 1])
