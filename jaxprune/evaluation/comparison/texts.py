"""What changed between two runs where there are no options to choose from: perplexity and translation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jaxprune.errors import InputError
from jaxprune.evaluation.scoring import ALPHA, PERPLEXITY, holm
from jaxprune.evaluation.translation import TRANSLATION, paired_bootstrap
from jaxprune.files import read_json


def compare_perplexity(run_a: Path, run_b: Path) -> dict[str, Any] | None:
    """Perplexities of the languages that both runs have; None if there are none.

    Returns:
      By language `tokens`, `perplexity` ({"a", "b"}) and `ratio`, b over a.

    Raises:
      InputError: other tokens in the two runs, whose perplexities say nothing of each other; broken files.
    """
    found = [_perplexities(run) for run in (run_a, run_b)]
    languages = {}
    for code in sorted(found[0].keys() & found[1].keys(), key=order):
        a, b = (side[code] for side in found)
        if a["tokens"] != b["tokens"]:
            raise InputError(
                f"{PERPLEXITY}/{code}: {a['tokens']} tokens in A and {b['tokens']} in B; expected the "
                "same text and tokenizer"
            )
        languages[code] = {
            "tokens": a["tokens"],
            "perplexity": {"a": a["perplexity"], "b": b["perplexity"]},
            "ratio": b["perplexity"] / a["perplexity"],
        }
    return languages or None


def compare_translations(run_a: Path, run_b: Path) -> dict[str, Any] | None:
    """BLEU and chrF of the languages that both runs translate; None if there are none.

    Returns:
      `target` and by language in `languages`: `rows`; `bleu` and `chrf`, each as `translation_metrics.paired_bootstrap`
      gives it; `holm`, p of BLEU after Holm's correction over the languages, and whether it is `significant`.

    Raises:
      InputError: other sentences or another target in the two runs; broken files; sacrebleu is not installed.
    """
    codes = sorted(translated(run_a) & translated(run_b), key=order)
    if not codes:
        return None
    target, other = (_target(run) for run in (run_a, run_b))
    if target != other:
        raise InputError(f"{TRANSLATION}: into {target} in A and into {other} in B")
    languages = {code: _compare_language(run_a, run_b, code, target) for code in codes}
    adjusted = holm([figure["bleu"]["p"] for figure in languages.values()])
    for figure, p in zip(languages.values(), adjusted, strict=True):
        figure |= {"holm": p, "significant": p <= ALPHA}
    return {"target": target, "languages": languages}


def texts_of(run: Path) -> list[tuple[str, str]]:
    """(perplexity or translation, language) of all that a run has of them."""
    names = {PERPLEXITY: set(_perplexities(run)), TRANSLATION: translated(run)}
    return [(name, code) for name, codes in names.items() for code in sorted(codes, key=order)]


def order(code: str) -> tuple[bool, str]:
    """Sorts languages, English first."""
    return code != "en", code


def translated(run: Path) -> set[str]:
    """Languages whose translations a run has."""
    return {file.stem for file in (run / TRANSLATION).glob("*.jsonl")}


def _perplexities(run: Path) -> dict[str, Any]:
    file = run / PERPLEXITY / "metrics.json"
    found = read_json(file).get("languages", {})
    whole = isinstance(found, dict) and all(
        isinstance(figure, dict)
        and isinstance(figure.get("perplexity"), float | int)
        and isinstance(figure.get("tokens"), int)
        for figure in found.values()
    )
    if not whole:
        raise InputError(
            f'{file}: expected {{"languages": {{"fr": {{"perplexity": …, "tokens": …}}, …}}, …}}'
        )
    return found


def _target(run: Path) -> str:
    file = run / TRANSLATION / "metrics.json"
    protocol = read_json(file).get("protocol")
    if not isinstance(protocol, dict) or not isinstance(protocol.get("target"), str):
        raise InputError(f'{file}: expected {{"protocol": {{"target": "en", …}}, …}}')
    return str(protocol["target"])


def _compare_language(run_a: Path, run_b: Path, code: str, target: str) -> dict[str, Any]:
    a, b = (_read(run / TRANSLATION / f"{code}.jsonl") for run in (run_a, run_b))
    references = [line["reference"] for line in a]
    if references != [line["reference"] for line in b]:
        raise InputError(
            f"{TRANSLATION}/{code}: B has other sentences than A; expected the same in both"
        )
    left, right = ([line["hypothesis"] for line in lines] for lines in (a, b))
    return {"rows": len(references), **paired_bootstrap(left, right, references, target=target)}


def _read(file: Path) -> list[dict[str, str]]:
    try:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    except ValueError as error:
        raise InputError(f"{file}: broken, {error}; expected JSON lines") from None
    if not all(
        isinstance(line, dict) and {"hypothesis", "reference"} <= line.keys() for line in lines
    ):
        raise InputError(f"{file}: expected lines with source, hypothesis and reference")
    return lines
