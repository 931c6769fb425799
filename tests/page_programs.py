"""The programs of Markdown pages, which are written for the root of the repository."""

import functools
import re
from pathlib import Path

import jaxprune as jp

ROOT = Path(__file__).parents[1]


def programs(text):
    """The Python programs in a page."""
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run(page, texts, folder, patch):
    """Runs programs one after another in a folder that has the package as the root does; the names that they leave.

    Args:
      page: their name in tracebacks.
    """
    patch.chdir(folder)
    (folder / "jaxprune").symlink_to(ROOT / "jaxprune")
    few = functools.partial(jp.demonstrations, samples=4)  # of a hundred nothing depends
    patch.setattr(jp, "demonstrations", few)
    names = {}
    for number, text in enumerate(texts):
        exec(compile(text, f"{page}, program {number}", "exec"), names)
    return names
