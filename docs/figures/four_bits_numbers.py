"""Numbers in the prose of docs/four_bits.md and studies/paper.md, and their tables of floors and of coverage."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from four_bits_cells import ENGLISH, GEMMA, LANGUAGES, MIXTURE, QWEN, SMOLLM
from four_bits_claims import OWN, Claim, Result, Scores, bits_per_byte, rise
from four_bits_power import Spread, coverage, spread_of
from jaxtyping import Float
from quantize import mean_and_interval

from jaxprune.base.text import pipes
from jaxprune.data.languages import language

OTHERS = tuple(code for code in LANGUAGES if code != ENGLISH)
NAMES = {GEMMA: "Gemma 3 270M", SMOLLM: "SmolLM2-135M", QWEN: "Qwen2.5-Coder-0.5B"}
# Ways and texts whose rises the prose gives.
_GIVEN = {"gptq_q4_0": (ENGLISH, OWN, MIXTURE), "importance_q4_0": (ENGLISH, OWN)}


def numbers(scores: Scores, judged: Sequence[Result]) -> dict[str, str]:
    """The numbers of the prose by name; ranges are of means over draws and lines, by language."""
    made = {f"{question} verdict": text for question, text in verdicts(judged)}
    for question, group in itertools.groupby(
        (result.claim for result in judged), key=lambda claim: claim.question
    ):
        claims = list(group)
        digits = 3 if question == "Q5b" else 1
        made[f"{question} changes"] = _range([claim.mean for claim in claims], digits)
        made[f"{question} mean"] = with_interval(mean_and_interval(_mean_of(claims)), digits)
    nearest = {code: rise(scores, GEMMA, "nearest_q4_0", "", code).mean() for code in OTHERS}
    made["nearest rises"] = _range([*nearest.values()]) + "%"
    for way, texts in _GIVEN.items():
        for text in texts:
            name = f"{way.partition('_')[0]} {text}"
            values = {code: rise(scores, GEMMA, way, text, code).mean() for code in OTHERS}
            made[f"{name} rises"] = _range([*values.values()]) + "%"
            removed = [100 * (1 - values[code] / nearest[code]) for code in OTHERS]
            made[f"{name} removes"] = _range(removed, 0) + "%"
    return made


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
    shown = (f"{value:+.{digits}f}".replace("-", "−") for value in change)
    return "{} [{}, {}]".format(*shown)


def _range(values: Sequence[float], digits: int = 1) -> str:
    """The smallest and the largest value."""
    low, high = (f"{each(values):.{digits}f}".replace("-", "−") for each in (min, max))
    return f"{low} to {high}"


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
