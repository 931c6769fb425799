"""What changed between two runs where there are no options to choose from: perplexity and translation."""

from __future__ import annotations

import json
from pathlib import Path

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison.records import (
    PerplexityComparison,
    Sides,
    TranslationComparison,
    TranslationLanguage,
)
from jaxprune.evaluation.scoring import ALPHA, PERPLEXITY, holm
from jaxprune.evaluation.translation import TRANSLATION, SystemComparison, compare_systems
from jaxprune.files import read_json


def compare_perplexity(run_a: Path, run_b: Path) -> dict[str, PerplexityComparison] | None:
    """Perplexities by language that both runs have; None if there are none.

    Raises:
      InputError: other tokens in the two runs, whose perplexities say nothing of each other; broken files.
    """
    of_a, of_b = (_perplexities(run) for run in (run_a, run_b))
    languages = {}
    for code in sorted(of_a.keys() & of_b.keys(), key=order):
        (tokens, a), (others, b) = of_a[code], of_b[code]
        if tokens != others:
            raise InputError(
                f"{PERPLEXITY}/{code}: {tokens} tokens in A and {others} in B; expected the "
                "same text and tokenizer"
            )
        languages[code] = PerplexityComparison(tokens, Sides(a, b), b / a)
    return languages or None


def compare_translations(run_a: Path, run_b: Path) -> TranslationComparison | None:
    """BLEU and chrF of the languages that both runs translate; None if there are none.

    Raises:
      InputError: other sentences or another target in the two runs; broken files; sacrebleu is not installed.
    """
    codes = sorted(translated(run_a) & translated(run_b), key=order)
    if not codes:
        return None
    target, other = (_target(run) for run in (run_a, run_b))
    if target != other:
        raise InputError(f"{TRANSLATION}: into {target} in A and into {other} in B")
    compared = {code: _compare_language(run_a, run_b, code, target) for code in codes}
    adjusted = holm([systems.bleu.p for _, systems in compared.values()])
    languages = {
        code: TranslationLanguage(
            rows=rows, bleu=systems.bleu, chrf=systems.chrf, holm=p, significant=p <= ALPHA
        )
        for (code, (rows, systems)), p in zip(compared.items(), adjusted, strict=True)
    }
    return TranslationComparison(target, languages)


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


def _perplexities(run: Path) -> dict[str, tuple[int, float]]:
    """(tokens, perplexity) by language."""
    file = run / PERPLEXITY / "metrics.json"
    languages = read_json(file).get("languages", {})
    whole = isinstance(languages, dict) and all(
        isinstance(figure, dict)
        and isinstance(figure.get("perplexity"), float | int)
        and isinstance(figure.get("tokens"), int)
        for figure in languages.values()
    )
    if not whole:
        raise InputError(
            f'{file}: expected {{"languages": {{"fr": {{"perplexity": …, "tokens": …}}, …}}, …}}'
        )
    return {code: (figure["tokens"], figure["perplexity"]) for code, figure in languages.items()}


def _target(run: Path) -> str:
    file = run / TRANSLATION / "metrics.json"
    protocol = read_json(file).get("protocol")
    if not isinstance(protocol, dict) or not isinstance(protocol.get("target"), str):
        raise InputError(f'{file}: expected {{"protocol": {{"target": "en", …}}, …}}')
    return str(protocol["target"])


def _compare_language(
    run_a: Path, run_b: Path, code: str, target: str
) -> tuple[int, SystemComparison]:
    """How many sentences there are, and what both runs made of them."""
    a, b = (_read(run / TRANSLATION / f"{code}.jsonl") for run in (run_a, run_b))
    references = [line["reference"] for line in a]
    if references != [line["reference"] for line in b]:
        raise InputError(
            f"{TRANSLATION}/{code}: B has other sentences than A; expected the same in both"
        )
    left, right = ([line["hypothesis"] for line in lines] for lines in (a, b))
    return len(references), compare_systems(left, right, references, target=target)


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
