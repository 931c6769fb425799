"""Report of a smaller model → facts in words, which the card, the page and the terminal share."""

from collections.abc import Iterator, Mapping
from typing import Any

from jaxprune.base.text import Table, byte_size, count, percent, points
from jaxprune.data.languages import LANGUAGES, language


def languages_of(shrunk: Mapping[str, Any]) -> list[str]:
    """The codes of the texts and of the samples that measured layers and neurons, as far as they are languages."""
    layers = shrunk["depth"]["influence"] if "depth" in shrunk else {}
    neurons = shrunk["width"]["shares"] if "width" in shrunk else {}
    codes = dict.fromkeys([*shrunk.get("selection", {}), *layers, *neurons])
    return [code for code in codes if code in LANGUAGES]


def cuts(shrunk: Mapping[str, Any]) -> str:
    """The parts of which there are fewer, in words."""
    parts = {"selection": "tokens", "depth": "layers", "width": "neurons"}
    return ", ".join(name for key, name in parts.items() if key in shrunk)


def _name(code: str) -> str:
    """The name of a language, or the kind of samples without one."""
    return language(code).name if code in LANGUAGES else code


_SIZES = ("tokens", "layers", "neurons", "parameters")
_HEADER = ("language", "texts", "split as before, %", "tokens before", "after", "growth, %")


def sizes(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Facts of (name, size before and after)."""
    shrunk, weights = report["shrunk"], report["weight_bytes"]
    known = {name: shrunk[name] for name in _SIZES if name in shrunk}
    for name, size in known.items():
        if size["before"] != size["after"]:
            yield name, f"{count(size['before'])} before, {count(size['after'])} after"
    before, after = (byte_size(weights[name]) for name in ("dense", "hf"))
    yield "files of the weights", f"{before} before, {after} after"


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


def remarks(shrunk: Mapping[str, Any]) -> Iterator[str]:
    """Sentences on the kept tokens and neurons, and on the dropped layers."""
    if "selection" in shrunk:
        yield "A text whose tokens are all kept is split as before."
    if depth := shrunk.get("depth"):
        dropped = ", ".join(map(str, depth["dropped"]))
        measured = ", ".join(map(_name, depth["influence"]))
        why = f", of least influence on texts in {measured}" if measured else ""
        yield f"Dropped layers, counted from 0: {dropped}{why}."
    if width := shrunk.get("width"):
        means = {code: sum(shares) / len(shares) for code, shares in width["shares"].items()}
        by_language = ", ".join(f"{_name(code)} {percent(of)}%" for code, of in means.items())
        yield (
            f"Share of Σ ‖h‖ Σ |W| that the kept neurons have, mean over the layers: {by_language}. "
            "The last kernel of each MLP compensates for the others by least squares."
        )
