"""Config and report of a smaller model → its model card, in Markdown."""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from jaxprune.calibration import language
from jaxprune.ledger import Report, Shrunk, Splits
from jaxprune.runs.card import TAG, folded, loading, named, plain, section, terms
from jaxprune.runs.facts import SHRINK_FIELDS, command_line, versions
from jaxprune.tables import as_code, byte_size, count, percent, pipes, points


def smaller_card(config: Mapping[str, Any], report: Report) -> str:
    """The text of a README.md with the front matter that the Hugging Face hub reads.

    Args:
      config: the content of config.json.
      report: the content of report.json.
    """
    from huggingface_hub import (  # late, for it takes as long as a tenth of JAX
        ModelCard,
        ModelCardData,
    )

    origin, shrunk = report["origin"], report["shrunk"]
    base = origin.get("base_model")
    data = ModelCardData(
        base_model=base[0] if base and len(base) == 1 else base,
        language=[*shrunk["selection"]],
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=[TAG, "vocabulary-trimmed"],
        license=origin.get("license"),
        license_name=origin.get("license_name"),
        license_link=origin.get("license_link"),
    )
    tokens = shrunk["tokens"]
    repeat = command_line("shrink", {**config, "model": origin["name"]}, SHRINK_FIELDS, "RUN")
    body = [
        f"# {plain(PurePath(origin['name']).name)}, {count(tokens['after'])} tokens",
        "",
        f"{named(origin)} with {count(tokens['after'])} of its {count(tokens['before'])} tokens. "
        "All other parameters are bit-identical. A text whose tokens are all kept is split as before, and has the same "
        "hidden states and logits of these tokens.",
        "",
        *section("Size", pipes(["", "before", "after"], [*sizes(report)])),
        *section("Texts by language", [*pipes(HEADER, [*splits(shrunk)]), "", *difference(shrunk)]),
        *section("How to load it", loading(True, "smaller, too: use the one in this folder")),
        *section(
            "How to repeat it",
            folded("Command and versions", [as_code(repeat), "", versions(report)]),
        ),
        *section("Licence", [terms(origin)]),
    ]  # fmt: skip
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n".join(body)))


HEADER = ("language", "texts", "split as before, %", "tokens before", "after", "growth, %")


def sizes(report: Report) -> Iterator[list[str]]:
    """Rows of name, before and after."""
    shrunk, weights = report["shrunk"], report["weight_bytes"]
    for name, found in (("tokens", shrunk["tokens"]), ("parameters", shrunk["parameters"])):
        yield [name, count(found["before"]), count(found["after"])]
    yield ["files of the weights", byte_size(weights["dense"]), byte_size(weights["hf"])]


def growth(found: Splits) -> float:
    """The share of tokens that a text has more than before."""
    return found["after"] / found["before"] - 1 if found["before"] else 0.0


def splits(shrunk: Shrunk) -> Iterator[list[str]]:
    """Rows for `HEADER`, of the selection and of the texts held out."""
    parts = (shrunk["selection"], ""), (shrunk.get("heldout", {}), ", held out")
    for by_language, said in parts:
        for code, found in by_language.items():
            yield [
                f"{language(code).name}{said}", count(found["texts"]),
                percent(found["same"] / found["texts"]), count(found["before"]),
                count(found["after"]), points(growth(found), 2),
            ]  # fmt: skip


def difference(shrunk: Shrunk) -> Iterator[str]:
    """A sentence on the numbers of both models."""
    found = shrunk["differences"]
    yield (
        f"Over {found['texts']} texts that split as before, the largest difference is {found['hidden']:.2g} in hidden "
        f"states and {found['logits']:.2g} in logits of kept tokens (float32)."
    )
