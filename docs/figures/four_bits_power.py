"""The power and coverage of the claims of studies/four_bits/protocol.md, from the variances of its pilot.

python docs/figures/four_bits_power.py

Writes their table into the protocol. A change of draw d in run g of ten lines is m + a_d + b_g + e_dg, as in the mixed
model that judges it. The pilot gives the three variances; studies of 4 draws and 30 runs are then simulated.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from cells import with_table
from four_bits_cells import DRAWS, ENGLISH, GEMMA, MIXTURE, PILOT, PILOT_SCORES, STUDY
from four_bits_claims import EQUAL, LESS, OWN, Claim, rise, verdict
from study_scores import read_arrays
from study_statistics import CONFIDENCE, SUPPORTED, interval_of

from jaxprune.base.text import pipes

PROTOCOL = STUDY / "protocol.md"
RUNS, SIMULATED = 30, 1000
# By question: way, texts whose rises are compared, relation, margin, number of claims in the family.
QUESTIONS = {
    "Q1": ("gptq_q4_0", (OWN, ENGLISH), LESS, 0.5, 11),
    "Q2": ("gptq_q4_0", (MIXTURE, OWN), EQUAL, 1.0, 12),
    "Q3": ("importance_q4_0", (OWN, ENGLISH), EQUAL, 0.5, 11),
}
# The gain, in points, at which the power of a claim of "less" is computed: less than half of the smallest in earlier
# measurements (docs/guide/quantize.md).
_GAIN = 2.0


class Spread(NamedTuple):
    """Standard deviations of draws, of runs, and of the rest."""

    draws: float
    runs: float
    rest: float


def spread_of(values: np.ndarray) -> Spread:
    """The spread of changes [draws, runs], by the mean squares of a two-way analysis of variance."""
    draws, runs = values.shape
    by_draw, by_run = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    rest = np.square(values - by_draw - by_run + values.mean()).sum() / ((draws - 1) * (runs - 1))
    of_draws = max(0.0, by_draw.var(ddof=1) - rest / runs)
    of_runs = max(0.0, by_run.var(ddof=1) - rest / draws)
    return Spread(*(float(variance) ** 0.5 for variance in (of_draws, of_runs, rest)))


def simulated(spread: Spread, mean: float, rng: np.random.Generator) -> np.ndarray:
    """Changes [draws, runs] of a study."""
    shape = (len(DRAWS), RUNS)
    parts = [(shape[0], 1), (1, shape[1]), shape]
    noise = (deviation * rng.standard_normal(s) for deviation, s in zip(spread, parts, strict=True))
    return np.asarray(sum(noise, np.full(shape, mean)))


def power(spread: Spread, relation: str, margin: float, size: int, mean: float) -> float:
    """Share of studies in which a claim is supported, if its change is `mean` and its correction the strictest."""
    rng = np.random.default_rng(0)
    supported = 0
    for _ in range(SIMULATED):
        claim = Claim("", "", simulated(spread, mean, rng), relation, margin)
        p = min(1.0, size * interval_of(claim.values, CONFIDENCE)[1])
        supported += verdict(claim, p, size) == SUPPORTED
    return supported / SIMULATED


def coverage(spread: Spread) -> float:
    """Share of studies whose 95% interval has the change in it."""
    rng = np.random.default_rng(1)
    intervals = (interval_of(simulated(spread, 0.0, rng), CONFIDENCE)[0] for _ in range(SIMULATED))
    return float(np.mean([low <= 0 <= high for low, high in intervals]))


def table(scores: Mapping[str, np.ndarray]) -> str:
    """A row for each question and language of the pilot, in Markdown."""
    rows = []
    for question, (way, texts, relation, margin, size) in QUESTIONS.items():
        for code in PILOT:
            first, second = (rise(scores, GEMMA, way, text, code) for text in texts)
            spread = spread_of(first - second)
            mean = -_GAIN if relation == LESS else 0.0
            rows.append(
                [
                    question, code, f"{(first - second).mean():+.2f}".replace("-", "−"),
                    *(f"{deviation:.2f}" for deviation in spread), f"{coverage(spread):.1%}",
                    f"{mean:.0f}".replace("-", "−"),
                    f"{power(spread, relation, margin, size, mean):.0%}",
                ]
            )  # fmt: skip
    heading = [
        "question", "language", "change in the pilot", "SD of draws", "of runs", "of the rest", "coverage of 95%",
        "if the change is", "supported in",
    ]  # fmt: skip
    return "\n".join(pipes(heading, rows)) + "\n"


def main() -> None:
    """Writes the table."""
    protocol = PROTOCOL.read_text("utf-8")
    made = table(read_arrays(PILOT_SCORES))
    PROTOCOL.write_text(with_table(protocol, "<!-- pilot -->\n\n", made), "utf-8")


if __name__ == "__main__":
    main()
