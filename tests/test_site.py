"""The pages of docs/: their programs run, and what the package offers is on the page that lists it."""

import functools
import re
from pathlib import Path

import pytest

import jaxprune as jp

ROOT = Path(__file__).parents[1]
GUIDES = sorted((ROOT / "docs" / "guide").glob("*.md"))
PYTHON = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")


def programs(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", [p for p in GUIDES if programs(p)], ids=lambda p: p.stem)
def test_the_programs_of_a_page_run_one_after_another(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jaxprune").symlink_to(ROOT / "jaxprune")  # they are written for the root
    few = functools.partial(jp.demonstrations, samples=4)
    monkeypatch.setattr(jp, "demonstrations", few)
    names = {}
    for program in programs(page):
        exec(compile(program, page.name, "exec"), names)
    assert all(0.2 < float(share) < 1 for share in capsys.readouterr().out.split())


def test_docstrings_have_the_heading_of_examples_that_the_site_renders():
    files = sorted((ROOT / "jaxprune").rglob("*.py"))
    assert [
        file for file in files if re.search(r"^ *Example:$", file.read_text("utf-8"), re.M)
    ] == []


def test_the_reference_has_every_name_that_the_package_offers():
    directives = re.findall(r"^::: (\S+)", PYTHON, re.MULTILINE)
    modules = re.findall(r"^## .*`jp\.(\w+)`", PYTHON, re.MULTILINE)
    listed = {directive.rpartition(".")[2] for directive in directives} | {*modules}
    offered = {name for name in jp.__all__ if not name.startswith("__")}
    assert offered <= listed
