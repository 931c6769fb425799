"""Config and report of a smaller model → its model card, in Markdown."""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Literal

from flax.traverse_util import flatten_dict

from jaxprune.calibration import LANGUAGES, language
from jaxprune.ledger import Report, Shrunk, Splits
from jaxprune.runs.card import (
    NOT_EVALUATED,
    Measured,
    folded,
    front_matter,
    loading,
    named,
    plain,
    section,
    terms,
)
from jaxprune.runs.facts import (
    commands,
    recovery_facts,
    versions,
)
from jaxprune.tables import as_code, byte_size, count, percent, pipes, points


def smaller_card(
    config: Mapping[str, Any], report: Report, measured: Measured | None = None
) -> str:
    """The text of a README.md with the front matter that the Hugging Face hub reads.

    Args:
      config: the content of config.json.
      report: the content of report.json.
      measured: the evaluations, if any.
    """
    origin, shrunk = report["origin"], report["shrunk"]
    title, results = f"{PurePath(origin['name']).name}, smaller", measured or Measured()
    metadata = front_matter(origin, [*_languages(shrunk)], ["smaller"], title, results.accuracy)
    table = pipes(HEADER, [*splits(shrunk)]) if "selection" in shrunk else []
    whose = "smaller, too: use the one in this folder" if table else "that of the dense model"
    body = [
        f"# {plain(title)}",
        "",
        f"{named(origin)} with {_fewer(shrunk)}. {_changed(report)}",
        "",
        *section("Size", pipes(["", "before", "after"], [*sizes(report)])),
        *section("What was kept", [*table, *([""] if table else []), *remarks(shrunk)]),
        *_recovery(config, report),
        *(results.lines or section("Accuracy by language", [NOT_EVALUATED])),
        *section("How to load it", loading(origin.get("has_tokenizer", False), whose)),
        *section(
            "How to repeat it",
            folded(
                "Commands and versions",
                [*(as_code(line) for _, line in commands(config, report)), "", versions(report)],
            ),
        ),
        *section("Licence", [terms(origin)]),
    ]
    return f"---\n{metadata}\n---\n\n" + "\n".join(body)


def _changed(report: Report) -> str:
    """The parameters that differ from those of the dense model, in words."""
    if "losses" in report:
        return "The blocks are fitted to the dense model; embedding, final norm and head are bit-identical."
    if "width" in report["shrunk"]:
        return "The last kernel of each MLP is refitted; all other parameters that are left are bit-identical."
    return "All parameters that are left are bit-identical."


def _recovery(config: Mapping[str, Any], report: Report) -> list[str]:
    if "losses" not in report:
        return []
    facts = recovery_facts(flatten_dict(dict(config), sep="."), report)
    return section("How it was recovered", [f"- {name}: {value}" for name, value in facts])


def _languages(shrunk: Shrunk) -> Iterator[str]:
    """The codes of the texts and of the samples that measured layers and neurons, as far as they are languages."""
    layers = shrunk["depth"]["influence"] if "depth" in shrunk else {}
    neurons = shrunk["width"]["shares"] if "width" in shrunk else {}
    found = dict.fromkeys([*shrunk.get("selection", {}), *layers, *neurons])
    yield from (code for code in found if code in LANGUAGES)


def _fewer(shrunk: Shrunk) -> str:
    """What is cut, in words."""
    parts = {"selection": "tokens", "depth": "layers", "width": "neurons"}
    return "fewer " + ", ".join(name for key, name in parts.items() if key in shrunk)


def _name(code: str) -> str:
    """The name of a language, or the kind of samples without one."""
    return language(code).name if code in LANGUAGES else code


_SIZES: tuple[Literal["tokens", "layers", "neurons", "parameters"], ...] = (
    "tokens", "layers", "neurons", "parameters",
)  # fmt: skip
HEADER = ("language", "texts", "split as before, %", "tokens before", "after", "growth, %")


def sizes(report: Report) -> Iterator[list[str]]:
    """Rows of name, before and after."""
    shrunk, weights = report["shrunk"], report["weight_bytes"]
    found = {name: shrunk[name] for name in _SIZES if name in shrunk}
    for name, of_name in found.items():
        if of_name["before"] != of_name["after"]:
            yield [name, count(of_name["before"]), count(of_name["after"])]
    yield ["files of the weights", byte_size(weights["dense"]), byte_size(weights["hf"])]


def growth(found: Splits) -> float:
    """The share of tokens that a text has more than before."""
    return found["after"] / found["before"] - 1 if found["before"] else 0.0


def splits(shrunk: Shrunk) -> Iterator[list[str]]:
    """Rows for `HEADER`, of the selection and of the texts held out."""
    parts = (shrunk.get("selection", {}), ""), (shrunk.get("heldout", {}), ", held out")
    for by_language, said in parts:
        for code, found in by_language.items():
            yield [
                f"{language(code).name}{said}", count(found["texts"]),
                percent(found["same"] / found["texts"]), count(found["before"]),
                count(found["after"]), points(growth(found), 2),
            ]  # fmt: skip


def remarks(shrunk: Shrunk) -> Iterator[str]:
    """Sentences on the kept tokens and neurons, and on the dropped layers."""
    if "selection" in shrunk:
        yield "A text whose tokens are all kept is split as before."
    if found := shrunk.get("differences"):
        yield (
            f"Over {found['texts']} texts that split as before, the largest difference is {found['hidden']:.2g} in "
            f"hidden states and {found['logits']:.2g} in logits of kept tokens (float32)."
        )
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
