"""Numbers in the prose of docs/four_bits.md and studies/paper.md, and their tables of floors and of coverage."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from four_bits_cells import ENGLISH, FOUR, GEMMA, LANGUAGES, MIXTURE, ONES, QWEN, SMOLLM, WRITTEN
from four_bits_claims import (
    OWN,
    Claim,
    Result,
    Scores,
    bits_per_byte,
    is_testable,
    log_perplexity,
    mean_and_interval,
    rise,
)
from four_bits_power import Spread, coverage, spread_of
from jaxtyping import Float

from jaxprune.base.text import MINUS, pipes, signed
from jaxprune.data.languages import language

OTHERS = tuple(code for code in LANGUAGES if code != ENGLISH)
NAMES = {GEMMA: "Gemma 3 270M", SMOLLM: "SmolLM2-135M", QWEN: "Qwen2.5-Coder-0.5B"}
# Decimals of changes in the prose, where it is not one.
_DIGITS = {"Q4b": 2, "Q5b": 3}
# Ways and texts whose rises the prose gives, and the languages in which they were measured.
_GIVEN = {
    "importance_q4_0": ((ENGLISH, OWN), OTHERS),
    "gptq_q4_0": ((ENGLISH, OWN, MIXTURE), OTHERS),
    "gptq_iq4_nl": ((ENGLISH, OWN), FOUR),
    "gptq_q5_0": ((ENGLISH, OWN), FOUR),
    "gptq_q8_0": ((ENGLISH, OWN), FOUR),
}


def numbers(scores: Scores, judged: Sequence[Result]) -> dict[str, str]:
    """The numbers of the prose by name; ranges are of means over draws and lines, by language."""
    return {
        **{f"{question} verdict": text for question, text in verdicts(judged)},
        **_changes(judged),
        **_rises_of_gemma(scores),
        **_rises_of_others(scores),
        **_perplexities(scores),
    }


def _changes(judged: Sequence[Result]) -> dict[str, str]:
    """By question its mean change, and the ranges of changes and of gains over the languages that are testable."""
    made = {}
    for question, group in itertools.groupby(judged, key=lambda result: result.claim.question):
        claims = [result.claim for result in group if result.claim.testable]
        digits = _DIGITS.get(question, 1)
        made[f"{question} changes"] = _range((claim.mean for claim in claims), digits)
        made[f"{question} lowers"] = _range((-claim.mean for claim in claims), digits)
        made[f"{question} mean"] = with_interval(mean_and_interval(_mean_of(claims)), digits)
    return made


def _rises_of_gemma(scores: Scores) -> dict[str, str]:
    """The ranges of rises, and of the shares of the rise of `nearest` that a way removes."""
    nearest = _rises(scores, GEMMA, "nearest_q4_0", "", OTHERS)
    made = {"nearest rises": _range(nearest.values()) + "%"}
    by_text = {}
    for way, (texts, codes) in _GIVEN.items():
        for text in texts:
            name = f"{way.removesuffix('_q4_0').replace('_', ' ', 1)} {text}"
            by_text[name] = values = _rises(scores, GEMMA, way, text, codes)
            made[f"{name} rises"] = _range(values.values()) + "%"
            if codes == OTHERS:
                removed = (100 * (1 - values[code] / nearest[code]) for code in codes)
                made[f"{name} removes"] = _range(removed, 0) + "%"
    ones = _rises(scores, GEMMA, f"search_q4_0-{ONES}-0", "", OTHERS)
    english, importance = (by_text[f"{how} {ENGLISH}"] for how in ("gptq", "importance"))
    worse = [code for code in OTHERS if english[code] > importance[code]]
    return made | {
        "search ones rises": _range(ones.values()) + "%",
        "gptq en above importance en": f"{len(worse)} of {len(OTHERS)}",
    }


def _rises_of_others(scores: Scores) -> dict[str, str]:
    """The ranges of rises in the other models, over the languages that are testable."""
    made = {}
    ways = {
        "nearest": ("nearest_q4_0", ""),
        ENGLISH: ("gptq_q4_0", ENGLISH),
        OWN: ("gptq_q4_0", OWN),
    }
    for model, (name, way) in itertools.product((SMOLLM, QWEN), ways.items()):
        codes = [code for code in FOUR if is_testable(scores, model, code)]
        made[f"{model} {name} rises"] = _range(_rises(scores, model, *way, codes).values()) + "%"
    return made


def _perplexities(scores: Scores) -> dict[str, str]:
    """The ranges of perplexities after SparseGPT over the dense model's, by the calibration text."""
    made = {}
    for name, text in {OWN: "{}", WRITTEN: f"{WRITTEN}_{{}}"}.items():
        changes = (
            log_perplexity(scores, "sparsegpt", text.format(code), code).mean()
            - log_perplexity(scores, "dense", "", code).mean()
            for code in FOUR
        )
        made[f"sparsegpt {name} perplexity"] = _range(map(np.exp, changes), 2)
    return made


def _rises(
    scores: Scores, model: str, way: str, text: str, codes: Sequence[str]
) -> dict[str, float]:
    """By language the mean rise of a way with a text, in %."""
    return {code: float(rise(scores, model, way, text, code).mean()) for code in codes}


def _mean_of(claims: Sequence[Claim]) -> Float[np.ndarray, "draws runs"]:
    """The mean change of languages; the last lines of some are no whole window, so that they have a run less."""
    runs = min(claim.values.shape[1] for claim in claims)
    return np.mean([claim.values[:, :runs] for claim in claims], axis=0)


def verdicts(judged: Sequence[Result]) -> Iterator[tuple[str, str]]:
    """By question its verdict, or the languages of each verdict."""
    by_question: dict[str, dict[str, list[str]]] = {}
    for result in judged:
        languages = by_question.setdefault(result.claim.question, {})
        code = result.claim.name.rpartition(" ")[2]
        languages.setdefault(result.verdict, []).append(language(code).name)
    for question, by_verdict in by_question.items():
        if len(by_verdict) == 1:
            yield question, next(iter(by_verdict))
            continue
        parts = (f"{verdict} in {', '.join(names)}" for verdict, names in by_verdict.items())
        yield question, "; ".join(parts)


def with_interval(change: Sequence[float], digits: int) -> str:
    """A change and the ends of its interval, with signs."""
    return "{} [{}, {}]".format(*(signed(value, digits) for value in change))


def decimal(value: float, digits: int = 1) -> str:
    """A number with a true minus; a zero has no sign."""
    return f"{value:z.{digits}f}".replace("-", MINUS)


def _range(values: Iterable[float], digits: int = 1) -> str:
    """The smallest and the largest value, once if they have the same text."""
    ordered = sorted(values)
    low, high = (decimal(value, digits) for value in (ordered[0], ordered[-1]))
    return low if low == high else f"{low} to {high}"


def floor_table(scores: Scores) -> str:
    """Bits per byte of the dense models, and of LZMA after news of the language, in Markdown."""
    rows = []
    for model, name in NAMES.items():
        row = [
            f"{bits_per_byte(scores, model, 'dense', code):.2f}"
            if f"{model}/dense/{code}" in scores
            else ""
            for code in LANGUAGES
        ]
        rows.append([name, *row])
    floors = (f"{float(scores[f'compressed/{code}']):.2f}" for code in LANGUAGES)
    return "\n".join(pipes(["", *LANGUAGES], [*rows, ["LZMA", *floors]])) + "\n"


def coverage_table(claims: Sequence[Claim]) -> str:
    """By question the spread of its changes, and how often a 95% interval has the change in simulations of it.

    The standard deviations are root mean squares over the languages of the question.
    """
    rows = []
    for question, group in itertools.groupby(claims, key=lambda claim: claim.question):
        spreads = np.array([spread_of(claim.values) for claim in group])
        spread = Spread(*(float(each) for each in np.sqrt(np.square(spreads).mean(axis=0))))
        digits = 3 if question in ("Q4b", "Q5b") else 2
        deviations = (f"{deviation:.{digits}f}" for deviation in spread)
        rows.append([question, *deviations, f"{coverage(spread):.1%}"])
    heading = ["question", "SD of draws", "of runs", "of the rest", "coverage of 95%"]
    return "\n".join(pipes(heading, rows)) + "\n"
