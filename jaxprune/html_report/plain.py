"""Figures and settings without charts of their own: the content of a JSON file as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from flax.traverse_util import flatten_dict

from jaxprune.evaluation import comparison
from jaxprune.evaluation.continuations import NEW_TOKENS
from jaxprune.evaluation.metrics_json import MetricsFile
from jaxprune.html_report import verdicts
from jaxprune.html_report.markup import Markup, escape, folded, join, note, tag
from jaxprune.html_report.page import Section
from jaxprune.html_report.tables import cell, table
from jaxprune.runs.facts import last_parts
from jaxprune.tables import number

BEFORE, AFTER = "before", "after"
# Keys of metrics.json on the method of an evaluation.
ABOUT = (
    "task", "model", "model_sha256", "revision", "dtype", "seed", "data", "protocol", "labels", "seconds",
    "environment", "identity", "calibration_overlap",
)  # fmt: skip
_ELSEWHERE = ("languages", "continuations")  # keys with tables of their own
# Keys of a language with a number for each part of its text.
_LONG = ("by_window", "by_part", "part_bytes")
ABOUT_CONTINUATIONS = (
    f"Greedy continuations of the beginnings of a text's first lines, up to {NEW_TOKENS} tokens. "
    "They illustrate the output and are not a measurement."
)


def plain_section(task: str, sides: Mapping[str, Mapping[str, Any]]) -> Section:
    """A metrics.json without charts (translation, perplexity): its content as tables.

    Args:
      task: its name.
      sides: one metrics.json, or those of two runs by name.
    """
    languages = {name: metrics.get("languages", {}) for name, metrics in sides.items()}
    has_languages = any(languages.values())
    shown = (*ABOUT, *_ELSEWHERE) if has_languages else ABOUT
    others = {
        name: {key: value for key, value in metrics.items() if key not in shown}
        for name, metrics in sides.items()
    }
    parts = [
        _language_table(task, languages) if has_languages else None,
        settings_table(others, f"{task}, the rest"),
    ]
    return Section(f"task-{task}", task, join(*parts))


def _language_table(task: str, sides: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Markup:
    """A row for each language of any side, a column for each key and side."""
    flat = {
        name: {
            code: flatten({key: v for key, v in figure.items() if key not in _LONG})
            for code, figure in languages.items()
        }
        for name, languages in sides.items()
    }
    codes = dict.fromkeys(code for languages in flat.values() for code in languages)
    keys = dict.fromkeys(
        key for languages in flat.values() for figure in languages.values() for key in figure
    )
    columns = [(key, name) for key in keys for name in flat]
    rows = [[code, *(flat[name].get(code, {}).get(key) for key, name in columns)] for code in codes]
    one = len(sides) == 1
    titles = [key if one else name for key, name in columns]
    groups = () if one else [("", 1), *((key, len(sides)) for key in keys)]
    return table(["language", *titles], rows, caption=f"{task} by language", groups=groups)


def text_sections(compared: comparison.Comparison) -> list[Section]:
    """Perplexity and translation of two runs, each with the name of its folder."""
    sections = []
    if compared.perplexity:
        figures = compared.perplexity
        rows = [
            [*row, verdicts.word(verdicts.of_perplexity(figures[row[0]]))]
            for row in comparison.perplexity_rows(figures)
        ]
        sides = [BEFORE, AFTER]
        header = ["language", "tokens", *sides, "after / before", "95% interval", *sides, ""]
        groups = [("", 2), ("perplexity", 4), ("bits/byte", 2), ("", 1)]
        body = table(header, rows, caption="perplexity by language", groups=groups)
        sections.append(Section("perplexity", "Perplexity", body))
    if compared.translation:
        sections.append(Section("translation", "Translation", _translation(compared.translation)))
    return sections


def _translation(translation: comparison.TranslationComparison) -> Markup:
    columns = [BEFORE, AFTER, "change", "p"]
    body = table(
        ["language", "rows", *columns, "p, Holm", *columns],
        comparison.translation_rows(translation),
        caption="translation by language",
        groups=[("", 2), ("BLEU", 5), ("chrF", 4)],
    )
    text = f"Into {translation.target}. p: sacrebleu's paired bootstrap; Holm: corrected over the languages."
    return join(body, note(text))


def continued_rows(sides: Sequence[MetricsFile], code: str) -> list[list[str | None]]:
    """Beginnings in a language that the last of the metrics has, and their continuations in each."""
    texts = [
        {
            one["beginning"]: one["text"] or "(end of text)"
            for one in side.get("continuations", {}).get(code, ())
        }
        for side in sides
    ]
    return [[beginning, *(side.get(beginning) for side in texts)] for beginning in texts[-1]]


def continuation_section(sides: Mapping[str, MetricsFile]) -> Section | None:
    """A folded table for each language; `sides` are the metrics of perplexity by the names of their columns."""
    *_, last = sides.values()
    header = ["beginning", *sides]
    tables = [
        folded(code, table(header, rows, caption=f"{code}, continued", wrap=True))
        for code in last.get("continuations", {})
        if (rows := continued_rows([*sides.values()], code))
    ]
    if not tables:
        return None
    body = join(note(ABOUT_CONTINUATIONS), *tables)
    return Section("continuations", "Continuations", body)


def settings_table(sides: Mapping[str, Mapping[str, Any]], caption: str) -> Markup | None:
    """Nested JSON by dotted key, a column for each side; values that differ are bold.

    Args:
      sides: by name; empty ones have no column.
      caption: of the table.
    """
    flat = {name: flatten(values) for name, values in sides.items() if values}
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    if not keys:
        return None
    rows = [_setting(key, [values.get(key) for values in flat.values()]) for key in keys]
    header = ["field", *(flat if len(sides) > 1 else ["value"])]
    return table(header, rows, caption=caption, wrap=True)


def _setting(key: str, values: Sequence[object]) -> list[object]:
    differ = len(set(map(str, values))) > 1
    name = Markup(f".{tag('wbr')}".join(map(escape, key.split("."))))
    return [name, *(tag("strong", cell(v)) if differ and v is not None else v for v in values)]


def flatten(values: Mapping[str, Any]) -> dict[str, object]:
    """Nested JSON → dotted key → number or text. Values as in `shown_value`."""
    flat = flatten_dict(dict(values), sep=".")
    return {key: shown_value(value) for key, value in flat.items()}


def shown_value(value: object) -> object:
    """A value of a JSON file, for a cell; paths that leave the folder are reduced to their last part."""
    if isinstance(value, list):
        parts = (number(v) if isinstance(v, float) else str(shown_value(v)) for v in value)
        return f"[{', '.join(parts)}]"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {part}" for key, part in flatten(value).items())
    if isinstance(value, str) and value.startswith(("/", "~", "..")):
        return last_parts(value)
    return value
