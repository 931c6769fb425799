"""The pages of docs/: their programs run, and what the package offers is on the page that lists it."""

import re
from pathlib import Path

import pytest
from page_programs import programs, run

import jaxprune as jp

ROOT = Path(__file__).parents[1]
GUIDES = sorted((ROOT / "docs" / "guide").glob("*.md"))
PYTHON = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")


PROGRAMS = {page.stem: programs(page.read_text(encoding="utf-8")) for page in GUIDES}


# The program of pack needs a packed model: runs/packing/test_pack.py runs it.
@pytest.mark.parametrize("page", [p for p in PROGRAMS if PROGRAMS[p] and p != "pack"])
def test_the_programs_of_a_page_run_one_after_another(page, tmp_path, monkeypatch, capsys):
    run(page, PROGRAMS[page], tmp_path, monkeypatch)
    assert all(0.2 < float(share) < 1 for share in capsys.readouterr().out.split())


def test_docstrings_have_the_heading_of_examples_that_the_site_renders():
    for file in (ROOT / "jaxprune").rglob("*.py"):
        assert not re.search(r"^ *Example:$", file.read_text("utf-8"), re.M), file


def test_the_reference_has_every_name_that_the_package_offers():
    directives = re.findall(r"^::: (\S+)", PYTHON, re.MULTILINE)
    modules = re.findall(r"^## .*`jp\.(\w+)`", PYTHON, re.MULTILINE)
    listed = {directive.rpartition(".")[2] for directive in directives} | {*modules}
    offered = {name for name in jp.__all__ if not name.startswith("__")}
    assert offered <= listed
