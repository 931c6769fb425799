"""Figures and settings that have no charts of their own: all that a JSON file says, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxprune.charts import number, signed
from jaxprune.html_report.markup import Markup, join, tag
from jaxprune.html_report.page import Section
from jaxprune.html_report.tables import p_value, table

BEFORE, AFTER = "before", "after"
# Keys of metrics.json that tell how it was measured, not what.
ABOUT = (
    "task", "model", "revision", "dtype", "seed", "data", "protocol", "labels", "seconds",
    "environment",
)  # fmt: skip


def plain_section(task: str, sides: Mapping[str, Mapping[str, Any]]) -> Section:
    """A metrics.json that this page has no charts for (translation, perplexity): all it says, as tables.

    Args:
      task: its name.
      sides: one metrics.json, or those of two runs by name.
    """
    parts: list[Markup] = []
    languages = {name: _by_language(found) for name, found in sides.items()}
    codes = list(dict.fromkeys(code for found in languages.values() for code in found))
    if codes:
        flat = {
            name: {code: flatten(figure) for code, figure in found.items()}
            for name, found in languages.items()
        }
        keys = dict.fromkeys(
            key for found in flat.values() for figure in found.values() for key in figure
        )
        columns = [(key, name) for key in keys for name in flat]
        rows = [
            [code, *(flat[name].get(code, {}).get(key) for key, name in columns)] for code in codes
        ]
        one = len(sides) == 1
        titles = [key if one else name for key, name in columns]
        groups = () if one else [("", 1), *((key, len(sides)) for key in keys)]
        caption = f"{task} by language"
        parts.append(table(["language", *titles], rows, caption=caption, groups=groups))
    rest = {
        name: {
            k: v for k, v in found.items() if k not in ABOUT and not (codes and k == "languages")
        }
        for name, found in sides.items()
    }
    if others := settings_table(rest, f"{task}, the rest"):
        parts.append(others)
    return Section(f"task-{task}", task, join(*parts))


def text_sections(comparison: Mapping[str, Any]) -> dict[str, Section]:
    """Perplexity and translation of two runs, by the name of their folder; of what `compare_runs` returns."""
    found = {}
    if perplexities := comparison["perplexity"]:
        lines = [
            [code, figure["tokens"], *figure["perplexity"].values(), figure["ratio"]]
            for code, figure in perplexities.items()
        ]
        header = ["language", "tokens", BEFORE, AFTER, "after / before"]
        body = table(header, lines, caption="perplexity by language")
        found["perplexity"] = Section("perplexity", "Perplexity", body)
    if translation := comparison["translation"]:
        lines = [
            [
                code,
                figure["rows"],
                *_scores(figure["bleu"]),
                p_value(figure["holm"]),
                *_scores(figure["chrf"]),
            ]
            for code, figure in translation["languages"].items()
        ]
        columns = [BEFORE, AFTER, "change", "p"]
        body = table(
            ["language", "rows", *columns, "p, Holm", *columns],
            lines,
            caption="translation by language",
            groups=[("", 2), ("BLEU", 5), ("chrF", 4)],
        )
        note = f"Into {translation['target']}. p: sacrebleu's paired bootstrap; Holm: corrected over the languages."
        body = join(body, tag("p", note, class_="note"))
        found["translation"] = Section("translation", "Translation", body)
    return found


def _scores(figure: Mapping[str, Any]) -> list[str | None]:
    values = [f"{figure[side]:.1f}" for side in "ab"]
    return [*values, signed(figure["difference"]), p_value(figure["p"])]


def settings_table(sides: Mapping[str, Mapping[str, Any]], caption: str) -> Markup | None:
    """Nested JSON by dotted key, a column for each side; what is not the same in all is bold.

    Args:
      sides: by name; those that are empty have no column.
      caption: of the table.
    """
    flat = {name: flatten(values) for name, values in sides.items() if values}
    keys = dict.fromkeys(key for found in flat.values() for key in found)
    if not keys:
        return None
    rows = [_setting(key, [found.get(key) for found in flat.values()]) for key in keys]
    header = ["field", *(flat if len(sides) > 1 else ["value"])]
    return table(header, rows, caption=caption, wrap=True)


def _setting(key: str, values: Sequence[object]) -> list[object]:
    differ = len(set(map(str, values))) > 1
    breakable = [part for name in key.split(".") for part in (".", tag("wbr"), name)][2:]
    name = join(*breakable)
    return [name, *(tag("strong", value) if differ else value for value in values)]


def _by_language(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = metrics.get("languages")
    whole = isinstance(found, dict) and all(isinstance(one, dict) for one in found.values())
    return found if whole and found else {}


def flatten(values: Mapping[str, Any], above: str = "") -> dict[str, object]:
    """Nested JSON → dotted key → number or text. Lists are written out, intervals in brackets."""
    flat: dict[str, object] = {}
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, dict):
            flat |= flatten(value, f"{name}.")
        elif isinstance(value, list):
            shown = ", ".join(number(v) if isinstance(v, float) else str(v) for v in value)
            flat[name] = f"[{shown}]"
        else:
            flat[name] = value
    return flat
