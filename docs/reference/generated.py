"""MkDocs hook: what pages say of the package's records is written from the records when the site is built."""

import inspect
import itertools
import re
from pathlib import Path
from typing import Any

import jaxprune as jp
from jaxprune.cli.config.help import as_markdown
from jaxprune.models.families import FAMILIES
from jaxprune.pruning.criteria import CRITERIA


def _settings() -> str:
    """The table of the settings, a section for each group of fields."""
    head, line, *rows = as_markdown().splitlines()
    parts = []
    for group, members in itertools.groupby(rows, lambda row: row.split("`")[1].rpartition(".")[0]):
        parts += [f"## {group or 'General'}\n", head, line, *members, ""]
    return "\n".join(parts)


def _scores() -> str:
    lines = ["| function | scores |", "| --- | --- |"]
    for name, criterion in CRITERIA.items():
        parameters = ", ".join(inspect.signature(getattr(jp.scores, name)).parameters)
        lines.append(f"| `scores.{name}({parameters})` | {criterion.meaning} |")
    return "\n".join(lines)


def _criteria() -> str:
    lines = ["| criterion | score |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| `{c.name}` | {c.meaning} |" for c in CRITERIA.values())])


def _families() -> str:
    return ", ".join(f"`{name}`" for name in sorted(FAMILIES))


def _readme() -> str:
    """The README, with links to pages; names of other files of the repository are not links here."""
    text = Path("README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    return re.sub(r"(?<!!)\[([^]]+)\]\(([A-Z]+(?:\.md)?|notebooks/[^)]+)\)", r"\1 (`\2`)", text)


GENERATED = {
    "readme": _readme,
    "settings": _settings,
    "scores": _scores,
    "criteria": _criteria,
    "families": _families,
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts each generated part in the place of its `<!-- generated: NAME -->`."""
    for name, write in GENERATED.items():
        markdown = markdown.replace(f"<!-- generated: {name} -->", write())
    return markdown


def _word(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith("<") else f'<span class="word">{found[0]}</span>'


def _code(found: re.Match[str]) -> str:
    return re.sub(r"<[^>]+>|[\w.:-]*-[\w.:-]*", _word, found[0])


def on_page_content(html: str, **_: Any) -> str:
    """Marks for site.css: words of code that lines may not break at a hyphen, and formulas that may scroll."""
    html = re.sub(r"<code>.*?</code>", _code, html, flags=re.DOTALL)
    return re.sub(
        r'<math display="block".*?</math>',
        r'<div class="formula">\g<0></div>',
        html,
        flags=re.DOTALL,
    )
