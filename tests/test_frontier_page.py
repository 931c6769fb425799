"""docs/frontier.md against studies/frontier: the table is made of the cells, and the sentences hold."""

import json
from pathlib import Path

import frontier

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/frontier.md").read_text(encoding="utf-8")
CELLS = json.loads((ROOT / "studies/frontier/cells.json").read_text(encoding="utf-8"))


def test_the_table_is_made_of_the_cells():
    assert frontier.written(PAGE, CELLS) == PAGE
