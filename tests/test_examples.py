"""The examples in docstrings run, and whatever `import jaxprune` offers as a function has one."""

import doctest
import inspect
from pathlib import Path

import pytest

import jaxprune as jp
from jaxprune.pruning.criteria import CRITERIA

ROOT = Path(__file__).parents[1]
ROOMS = {"jp": jp, "masks": jp.masks, "scores": jp.scores, "checkpoint": jp.checkpoint}
# Said in one line, with the example at another one of their kind.
SHOWN_ELSEWHERE = {
    "masks.union", "masks.difference", "masks.invert", "masks.unpack",
    "checkpoint.save_stats", "checkpoint.restore_packed_masks", "jp.open_evaluation",
}  # fmt: skip


def public():
    """By name what is offered: what `__all__` has, and of the modules in it what they define for users."""
    found = {f"jp.{name}": getattr(jp, name) for name in jp.__all__}
    for room in ("masks", "checkpoint"):
        found |= {f"{room}.{name}": getattr(ROOMS[room], name) for name in dir(ROOMS[room])}
    return found


def examples():
    return {
        test.name: test
        for name, value in public().items()
        for test in doctest.DocTestFinder(recurse=not inspect.ismodule(value)).find(
            value, name, globs={}
        )
        if test.examples
    }


EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_says_what_happens(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jaxprune").symlink_to(ROOT / "jaxprune")  # they are written for the root
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    result = runner.run(EXAMPLES[name])
    assert result.attempted > 0
    assert not result.failed, capsys.readouterr().out


def test_every_function_has_one():
    functions = {name for name, value in public().items() if inspect.isfunction(value)}
    assert len(functions) > 15
    missing = functions - EXAMPLES.keys() - SHOWN_ELSEWHERE
    assert not missing
    assert functions >= SHOWN_ELSEWHERE
    assert {
        "jp.scores",
        "jp.Settings",
        "jp.ActivationStats.merge",
        "jp.Model.replace",
    } <= EXAMPLES.keys()
    assert CRITERIA.keys() <= {*dir(jp.scores)}  # of which jp.scores has one
