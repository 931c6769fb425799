"""Two runs → comparisons of perplexity and translation."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison.compare_json import (
    PerplexityComparison,
    Sides,
    TranslationComparison,
    TranslationLanguage,
)
from jaxprune.evaluation.comparison.same_evaluation import check_equal
from jaxprune.evaluation.metrics_json import read_metrics
from jaxprune.evaluation.scoring import (
    ALPHA,
    LARGEST_LOG,
    PERPLEXITY,
    Perplexity,
    holm,
    ratio_interval,
    values_of_parts,
)
from jaxprune.evaluation.translation import TRANSLATION, compare_systems
from jaxprune.files import parse_json, read_text


def compare_perplexities(
    run_a: Mapping[str, Perplexity], run_b: Mapping[str, Perplexity], other_tokenizer: bool = False
) -> dict[str, PerplexityComparison] | None:
    """Perplexities in the languages that both runs have; None without such a language.

    Args:
      other_tokenizer: compare bits per byte, as the tokens differ.

    Raises:
      InputError: other tokens in the two runs.
    """
    languages = {}
    for code in sorted(run_a.keys() & run_b.keys(), key=order):
        a, b = run_a[code], run_b[code]
        if other_tokenizer:
            languages[code] = _by_bits(code, a, b)
            continue
        if a.tokens != b.tokens or len(a.by_window) != len(b.by_window):
            raise InputError(
                f"{PERPLEXITY}/{code}: {a.tokens} tokens in A and {b.tokens} in B; expected the same text and tokenizer"
            )
        sides = Sides(a.perplexity, b.perplexity)
        interval = ratio_interval(a.by_window, b.by_window)
        sizes = [[tokens for _, tokens in one.by_part] for one in (a, b)]
        if sizes[0] and sizes[0] == sizes[1]:
            interval = ratio_interval(a.part_values, b.part_values)
        bits = None
        if a.bits_per_byte is not None and b.bits_per_byte is not None:
            bits = Sides(a.bits_per_byte, b.bits_per_byte)
        languages[code] = PerplexityComparison(a.tokens, sides, sides.b / sides.a, interval, bits)
    return languages or None


def _by_bits(code: str, a: Perplexity, b: Perplexity) -> PerplexityComparison:
    """Both perplexities per token of A.

    The interval is of the parts that both runs predicted; a tokenizer with longer tokens may leave out the last one.
    """
    if a.bits_per_byte is None or b.bits_per_byte is None:
        raise InputError(
            f"{PERPLEXITY}/{code}: no bits per byte in a run; expected them, as the tokenizers differ"
        )
    # a mean over other units: log(perplexity) is in proportion to the bits per byte
    b_log = math.log(a.perplexity) * b.bits_per_byte / a.bits_per_byte
    b_per_token = math.exp(min(b_log, LARGEST_LOG))
    sides, bits = Sides(a.perplexity, b_per_token), Sides(a.bits_per_byte, b.bits_per_byte)
    parts, interval = min(len(a.part_bytes), len(b.part_bytes)), None
    if parts > 1:
        per_token = a.bytes / a.tokens
        values = (
            per_token
            * values_of_parts(
                np.array(one.by_part)[:parts, 0], np.array(one.part_bytes[:parts], float)
            )
            for one in (a, b)
        )
        interval = ratio_interval(*values)
    return PerplexityComparison(a.tokens, sides, sides.b / sides.a, interval, bits)


def compare_translations(
    run_a: Path, run_b: Path, codes: Sequence[str]
) -> tuple[TranslationComparison | None, str | None]:
    """BLEU and chrF in languages that both runs translate.

    Returns:
      (comparison, None); (None, the reason) if the limits of length differ; (None, None) without a language.

    Raises:
      InputError: other sentences or another protocol in the two runs; a broken file; sacrebleu is not installed.
    """
    if not codes:
        return None, None
    protocol, other = (read_metrics(run / TRANSLATION)["protocol"] for run in (run_a, run_b))
    a, b = protocol["max_new_tokens"], other["max_new_tokens"]
    if a != b:
        return None, f"max_new_tokens {a} in A and {b} in B"
    check_equal(TRANSLATION, protocol, other, protocol)
    scores: dict[str, dict[str, Any]] = {}
    for code in codes:
        lines = [_read(run / TRANSLATION / f"{code}.jsonl") for run in (run_a, run_b)]
        references, others = ([line["reference"] for line in of_run] for of_run in lines)
        if references != others:
            raise InputError(
                f"{TRANSLATION}/{code}: B has other sentences than A; expected the same in both"
            )
        left, right = ([line["hypothesis"] for line in of_run] for of_run in lines)
        found = compare_systems(left, right, references, target=protocol["target"])
        scores[code] = {"rows": len(references), **found}
    adjusted = holm([of_language["bleu"].p for of_language in scores.values()])
    languages = {
        code: TranslationLanguage(**scores[code], holm=p, significant=p <= ALPHA)
        for code, p in zip(codes, adjusted, strict=True)
    }
    return TranslationComparison(protocol["target"], languages), None


def order(code: str) -> tuple[bool, str]:
    """A key that sorts languages, English first."""
    return code != "en", code


def _read(file: Path) -> list[dict[str, str]]:
    """The rows of a translation: source, hypothesis and reference."""
    # Not splitlines(): sentences may contain U+2028 and the like.
    lines = read_text(file).removesuffix("\n").split("\n")
    return [parse_json(line, str(file)) for line in lines]
