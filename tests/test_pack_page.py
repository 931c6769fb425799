"""docs/guide/pack.md and README's output of `pack` against studies/pack."""

import packed
import readme
from cells import read

from jaxprune.base.text import count
from jaxprune.pages.packed_model import verdict

CELLS = read(packed.CELLS)


def test_the_page_is_made_of_the_cells():
    page = packed.PAGE.read_text(encoding="utf-8")
    assert packed.written(page, CELLS) == page


def test_the_output_in_readme_is_that_of_a_packing_on_the_page():
    cell, output = CELLS["gemma3-270m"], readme.OUTPUT.read_text(encoding="utf-8")
    assert verdict(cell) in " ".join(output.split())
    assert f"  seconds  {count(cell['run_seconds'])}\n" in output
