"""Report of a smaller model → facts by name, the same on the card, the page and the terminal."""

from collections.abc import Mapping
from typing import Any

from jaxprune.base.text import Table, count, percent, points
from jaxprune.data.languages import LANGUAGES, language

_HEADER = ("language", "texts", "split as before, %", "tokens before", "after", "growth, %")


def languages_of(shrunk: Mapping[str, Any]) -> list[str]:
    """The codes of the texts and of the samples that measured layers and neurons, as far as they are languages."""
    layers = shrunk["depth"]["influence"] if "depth" in shrunk else {}
    neurons = shrunk["width"]["shares"] if "width" in shrunk else {}
    codes = dict.fromkeys([*shrunk.get("selection", {}), *layers, *neurons])
    return [code for code in codes if code in LANGUAGES]


def smaller_facts(shrunk: Mapping[str, Any]) -> dict[str, str]:
    """Sizes before and after, dropped layers, and the influence of the kept neurons, by name."""
    facts = {}
    for name in ("tokens", "layers", "neurons", "parameters"):
        size = shrunk.get(name, {"before": 0, "after": 0})
        if size["before"] != size["after"]:
            facts[name] = f"{count(size['before'])} before, {count(size['after'])} after"
    if depth := shrunk.get("depth"):
        facts["dropped layers, from 0"] = ", ".join(map(str, depth["dropped"]))
        if depth["influence"]:
            facts["influence of layers measured on"] = ", ".join(depth["influence"])
    if width := shrunk.get("width"):
        means = {code: sum(shares) / len(shares) for code, shares in width["shares"].items()}
        by_language = (f"{code} {percent(mean)}%" for code, mean in means.items())
        facts["influence of the kept neurons"] = ", ".join(by_language)
    return facts


def growth(split: Mapping[str, int]) -> float:
    """The share of tokens that a text has more than before."""
    return split["after"] / split["before"] - 1 if split["before"] else 0.0


def split_table(shrunk: Mapping[str, Any]) -> Table | None:
    """The splits of the selection and of the texts held out; None without a selection."""
    if not shrunk.get("selection"):
        return None
    parts = (shrunk["selection"], ""), (shrunk.get("heldout", {}), ", held out")
    rows = [
        [
            f"{language(code).name}{suffix}", count(split["texts"]),
            percent(split["same"] / split["texts"]), count(split["before"]), count(split["after"]),
            points(growth(split), 2),
        ]
        for by_language, suffix in parts
        for code, split in by_language.items()
    ]  # fmt: skip
    return Table("Texts by language; growth in % of the tokens", _HEADER, rows)
