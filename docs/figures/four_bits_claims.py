"""The claims of studies/four_bits/protocol.md: their comparisons from the scores, and verdicts by its rules."""

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from four_bits_cells import DRAWS, ENGLISH, FOUR, GEMMA, LANGUAGES, MIXTURE, QWEN, SMOLLM, WRITTEN
from jaxtyping import Float
from study_statistics import CONFIDENCE, OPEN, REFUTED, SUPPORTED, UNTESTABLE, interval_of

from jaxprune.evaluation.scoring.metrics import holm
from jaxprune.evaluation.scoring.perplexity import values_of_parts

LESS, EQUAL = "less", "equal"
OWN = "own"
Scores = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Claim:
    """A comparison of the protocol.

    Attributes:
      question: its family.
      name: what is compared, and where.
      values: the change of each draw and run of lines, in % of the dense model's bits; with
        SparseGPT in log-perplexity.
      relation: "less": the change is predicted to be negative; "equal": within the margin.
      margin: the smallest change that matters.
      testable: whether the dense model knows the language.
    """

    question: str
    name: str
    values: Float[np.ndarray, "draws runs"]
    relation: str
    margin: float
    testable: bool = True

    @property
    def mean(self) -> float:
        """Over draws and runs."""
        return float(self.values.mean())


@dataclass(frozen=True)
class Result:
    """A claim with its 95% interval, p after Holm's correction (one-sided claims are two-sided tests), and verdict."""

    claim: Claim
    interval: tuple[float, float]
    p: float
    verdict: str


def results(claims: Sequence[Claim]) -> list[Result]:
    """The results in the order of the claims, which are sorted by question: each question is a family."""
    made = []
    for _, group in itertools.groupby(claims, key=lambda claim: claim.question):
        family = list(group)
        adjusted = holm([interval_of(claim.values, CONFIDENCE)[1] for claim in family])
        for claim, p in zip(family, adjusted, strict=True):
            interval = interval_of(claim.values, CONFIDENCE)[0]
            made.append(Result(claim, interval, p, verdict(claim, p, len(family))))
    return made


def verdict(claim: Claim, p: float, size: int) -> str:
    """By the rules of the protocol.

    Args:
      p: that the change is 0, after Holm's correction.
      size: number of claims of the family.
    """
    if not claim.testable:
        return UNTESTABLE
    low, high = interval_of(claim.values, 1 - 0.05 / size)[0]
    if claim.relation == LESS:
        if low > -claim.margin:
            return REFUTED
        return SUPPORTED if claim.mean < 0 and p < 1 - CONFIDENCE else OPEN
    inner = interval_of(claim.values, 1 - 2 * 0.05 / size)[0]  # two one-sided tests
    if -claim.margin < inner[0] and inner[1] < claim.margin:
        return SUPPORTED
    return REFUTED if low > claim.margin or high < -claim.margin else OPEN


def rise(scores: Scores, model: str, way: str, text: str, code: str) -> np.ndarray:
    """By draw and run of lines the bits per byte above the dense model's, in % of its mean, [draws, runs].

    Args:
      way: HOW_GRID of a rounding.
      text: of the calibration; "own" is that of the language, "" none, which is one draw.
    """
    source = code if text == OWN else text
    names = [f"{way}-{source}-{draw}" for draw in DRAWS] if text else [way]
    dense = -scores[f"{model}/dense/{code}"][:, 0]
    bits = np.stack([-scores[f"{model}/{name}/{code}"][:, 0] for name in names])
    return 100 * (bits - dense) / dense.mean()


def log_perplexity(scores: Scores, way: str, text: str, code: str) -> np.ndarray:
    """By draw and run of ten lines; the mean over runs is that over tokens. Without a text there is one draw."""
    names = [f"{way}-{text}-{draw}" for draw in DRAWS] if text else [way]
    return np.stack([-values_of_parts(*scores[f"{GEMMA}/{name}/{code}"].T) for name in names])


def mean_and_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The mean with its 95% interval over draws and runs; over runs alone if there is one draw."""
    interval, _ = interval_of(values[0] if len(values) == 1 else values, CONFIDENCE)
    return float(values.mean()), *interval


def all_claims(scores: Scores) -> list[Claim]:
    """The claims of the protocol, sorted by question."""
    return [
        *_own_against_english(scores, "Q1", GEMMA, "gptq_q4_0", LANGUAGES, LESS, 0.5),
        *_own_against_english(scores, "Q1 SmolLM2", SMOLLM, "gptq_q4_0", FOUR, LESS, 0.5),
        *_own_against_english(scores, "Q1 Qwen", QWEN, "gptq_q4_0", FOUR, LESS, 0.5),
        *_mixture(scores),
        *_own_against_english(scores, "Q3", GEMMA, "importance_q4_0", LANGUAGES, EQUAL, 0.5),
        *_by_bits(scores),
        *_written(scores),
    ]


def _own_against_english(
    scores: Scores,
    question: str,
    model: str,
    way: str,
    codes: Sequence[str],
    relation: str,
    margin: float,
) -> Iterator[Claim]:
    for code in codes:
        if code != ENGLISH:
            own, english = (rise(scores, model, way, text, code) for text in (OWN, ENGLISH))
            testable = is_testable(scores, model, code)
            yield Claim(
                question,
                f"own − English text, in {code}",
                own - english,
                relation,
                margin,
                testable,
            )


def _mixture(scores: Scores) -> Iterator[Claim]:
    for code in LANGUAGES:
        mixed, own = (rise(scores, GEMMA, "gptq_q4_0", text, code) for text in (MIXTURE, OWN))
        yield Claim("Q2", f"mixture − own text, in {code}", mixed - own, EQUAL, 1.0)


def _by_bits(scores: Scores) -> Iterator[Claim]:
    @functools.cache
    def gain(grid: str, code: str) -> np.ndarray:
        own, english = (rise(scores, GEMMA, f"gptq_{grid}", text, code) for text in (OWN, ENGLISH))
        return own - english

    for code in FOUR:
        yield Claim(
            "Q4a",
            f"own − English text, Q4_0 − Q5_0, in {code}",
            gain("q4_0", code) - gain("q5_0", code),
            LESS,
            0.5,
        )
    for code in FOUR:
        yield Claim("Q4b", f"own − English text, Q8_0, in {code}", gain("q8_0", code), EQUAL, 0.1)


def _written(scores: Scores) -> Iterator[Claim]:
    for code in FOUR:
        written, own = (
            rise(scores, GEMMA, "gptq_q4_0", text, code) for text in (f"{WRITTEN}_{code}", OWN)
        )
        yield Claim("Q5a", f"GPTQ, written − real text, in {code}", written - own, EQUAL, 1.0)
    for code in FOUR:
        written, own = (
            log_perplexity(scores, "sparsegpt", text, code) for text in (f"{WRITTEN}_{code}", code)
        )
        yield Claim(
            "Q5b", f"SparseGPT at 50%, written − real text, in {code}", written - own, EQUAL, 0.04
        )


def is_testable(scores: Scores, model: str, code: str) -> bool:
    """Whether the dense model needs fewer bits per byte than LZMA that has seen news of the language."""
    return bits_per_byte(scores, model, "dense", code) < float(scores[f"compressed/{code}"])


def bits_per_byte(scores: Scores, model: str, cell: str, code: str) -> float:
    """Of a cell in a language, on all lines."""
    log_probability = scores[f"{model}/{cell}/{code}"][:, 0].sum()
    return float(-log_probability / np.log(2) / scores[f"bytes/{model}/{code}"].sum())
