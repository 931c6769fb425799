"""The hypotheses of docs/study.md: their comparisons, from the scores of the models."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from study_scores import Scores
from study_statistics import CONFIDENCE, OPEN, SUPPORTED, Measure, Test, Values, interval_of

from jaxprune.evaluation.scoring.metrics import cluster_values

NAMES = {"en": "English", "fr": "French", "ru": "Russian", "zh": "Chinese", "sw": "Swahili"}
LANGUAGES = tuple(NAMES)
FOREIGN = LANGUAGES[1:]
CODERS = ("fr", "ru")
MIXTURE = "+".join(LANGUAGES)
DRAWS = {"code": 3, "sparsegpt": 2}  # 4 in the other parts
DISCRIMINATION = Measure("discrimination", 1, 0.01, 100, " points")
LOG_PERPLEXITY = Measure("log-perplexity", -1, 0.02)
CONTRAST = Measure("contrast, share of the dense model's", 1, 0.05, 100, "%")
WORST = Measure("largest rise of log-perplexity", -1, 0.02)
SHARE = Measure("share of kept weights", 1, 0.01, 100, " points")
RATIO = Measure("chrF kept − perplexity kept", -1, 0.1)


def all_tests(parts: Mapping[str, Scores]) -> list[Test]:
    """The tests of the protocol but H7, whose rule is another."""
    made = [
        *_translation(parts),
        *_code(parts),
        *_languages(parts),
        *_masks(parts),
        *_highest(parts),
    ]
    return sorted(made, key=lambda test: test.hypothesis)


Change = Callable[[Scores, str, str, str], Values]


def _difference(measure: str) -> Change:
    """The change of a measure from one model to another, in a language."""

    def change(scores: Scores, old: str, new: str, code: str) -> Values:
        return getattr(scores, measure)(new, code) - getattr(scores, measure)(old, code)

    return change


def _of_dense(scores: Scores, old: str, new: str, code: str) -> Values:
    """The change of contrast over the dense model's."""
    return _difference("contrast")(scores, old, new, code) / scores.contrast("dense", code).mean()


CHANGES = {
    DISCRIMINATION: _difference("discrimination"),
    LOG_PERPLEXITY: _difference("log_perplexity"),
    CONTRAST: _of_dense,
}


def over_draws(
    parts: Mapping[str, Scores],
    part: str,
    old: str,
    new: str,
    measure: Measure,
    codes: Sequence[str],
) -> Values | None:
    """The mean change over languages, [draws, groups]; None if a model is missing.

    Args:
      old, new: names of the models, with {language} and {draw}.
    """

    def name(model: str, code: str, draw: int) -> str:
        return model.format(language=code, draw=draw)

    def of_draw(draw: int) -> Values:
        changes = [
            CHANGES[measure](parts[part], name(old, code, draw), name(new, code, draw), code)
            for code in codes
        ]
        # a text may lack its last run in some languages
        return cluster_values([(np.arange(len(values)), values) for values in changes])

    return _known(lambda: np.stack([of_draw(draw) for draw in _draws(part)]))


def _draws(part: str) -> range:
    return range(1, DRAWS.get(part, 4) + 1)


def _known(make: Callable[[], Values]) -> Values | None:
    """The values, or None if a part or a model is missing."""
    try:
        return make()
    except KeyError:
        return None


def model(calibration: str, sparsity: float, language: str = "{language}") -> str:
    """The name of a model, with {draw}."""
    return f"{calibration}-{language}-{sparsity}-draw{{draw}}"


def _translation(parts: Mapping[str, Scores]) -> Iterator[Test]:
    both = (DISCRIMINATION, LOG_PERPLEXITY)
    pairs = [
        ("H1", "dense", 0.3, both[:1]),
        *(("H2a", "monolingual", sparsity, both) for sparsity in (0.3, 0.5)),
        *(("H2b", "unpaired", sparsity, both) for sparsity in (0.3, 0.5)),
    ]
    for hypothesis, other, sparsity, measures in pairs:
        old = other if other == "dense" else model(other, sparsity)
        for measure in measures:
            found = over_draws(
                parts, "translation", old, model("translation", sparsity), measure, FOREIGN
            )
            yield Test(hypothesis, f"translation − {other}, {sparsity:.0%}", measure, found)


def _code(parts: Mapping[str, Scores]) -> Iterator[Test]:
    new = model("translation_vs_code", 0.5)
    names = {"monolingual": "monolingual", "monolingual_vs_code": "monolingual over code"}
    for other, name in names.items():
        found = over_draws(parts, "code", model(other, 0.5), new, CONTRAST, CODERS)
        yield Test("H3", f"translation over code − {name}, 50%", CONTRAST, found)


def _languages(parts: Mapping[str, Scores]) -> Iterator[Test]:
    english, own = model("monolingual", 0.5, "en"), model("monolingual", 0.5)
    for code in FOREIGN:
        found = over_draws(parts, "languages", english, own, LOG_PERPLEXITY, [code])
        yield Test("H4a", f"text in {code} − English text, 50%, in {code}", LOG_PERPLEXITY, found)
    for code in LANGUAGES:
        values = _known(lambda code=code: _worst(parts, MIXTURE) - _worst(parts, code))
        yield Test("H4b", f"mixture − {code}, 50%", WORST, values)


def _worst(parts: Mapping[str, Scores], language: str) -> Values:
    """By draw the largest rise of log-perplexity in the five languages after calibration on one, or on the mixture."""
    scores, name = parts["languages"], model("monolingual", 0.5, language)

    def rise(draw: int, code: str) -> float:
        now, before = (
            scores.log_perplexity(one, code) for one in (name.format(draw=draw), "dense")
        )
        return float(now.mean() - before.mean())

    return np.array([max(rise(draw, code) for code in LANGUAGES) for draw in _draws("languages")])


def _masks(parts: Mapping[str, Scores]) -> Iterator[Test]:
    yield Test("H5", "draws of one language − languages of one draw", SHARE, _known(
        lambda: mask_shares(parts)[0] - mask_shares(parts)[1]
    ))  # fmt: skip


def mask_shares(parts: Mapping[str, Scores]) -> tuple[Values, Values]:
    """By draw the mean share in common with the same language on other draws, and of two languages on this draw."""
    shared = parts["languages"].shared

    def mean(pairs: Iterator[tuple[tuple[str, int], tuple[str, int]]]) -> float:
        names = (
            tuple(model("monolingual", 0.5, code).format(draw=draw) for code, draw in pair)
            for pair in pairs
        )
        return float(np.mean([shared[a, b] for a, b in names]))

    draws = _draws("languages")
    of_draws = [
        mean(((code, one), (code, other)) for code in LANGUAGES for other in draws if other != one)
        for one in draws
    ]
    of_languages = [
        mean(((a, one), (b, one)) for a, b in itertools.combinations(LANGUAGES, 2)) for one in draws
    ]
    return np.array(of_draws), np.array(of_languages)


def _highest(parts: Mapping[str, Scores]) -> Iterator[Test]:
    for sparsity in (0.001, 0.01):
        values = _known(
            lambda sparsity=sparsity: np.subtract(*np.transpose(kept_of_dense(parts, sparsity)))
        )
        yield Test("H6", f"monolingual, {sparsity:.1%} dropped", RATIO, values)


def kept_of_dense(parts: Mapping[str, Scores], sparsity: float) -> list[tuple[float, float]]:
    """By draw, means over languages: chrF over the dense model's, and its perplexity over that of the model."""
    scores, name = parts["highest"], model("monolingual", sparsity)

    def of_language(draw: int, code: str) -> tuple[float, float]:
        now = name.format(language=code, draw=draw)
        rise = scores.log_perplexity(now, code).mean() - scores.log_perplexity("dense", code).mean()
        return scores.chrf(now, code) / scores.chrf("dense", code), float(np.exp(-rise))

    return [
        tuple(np.mean([of_language(draw, code) for code in FOREIGN], axis=0))
        for draw in _draws("highest")
    ]


@dataclass(frozen=True, eq=False)
class Repeated:
    """H7: a change of H2a by SparseGPT, [draws, groups], and Wanda's mean."""

    measure: Measure
    values: Values
    wanda: float

    @property
    def interval(self) -> tuple[float, float]:
        """95%, of the mixed model."""
        return interval_of(self.values, CONFIDENCE)[0]

    @property
    def verdict(self) -> str:
        """By the rule of H7, which is never refuted."""
        low, high = self.interval
        return SUPPORTED if low <= self.wanda <= high else OPEN


def sparsegpt(parts: Mapping[str, Scores]) -> list[Repeated]:
    """H7; empty until both are measured."""
    made = []
    for measure in (DISCRIMINATION, LOG_PERPLEXITY):
        pair = model("monolingual", 0.5), model("translation", 0.5)
        by_part = [
            over_draws(parts, part, *pair, measure, FOREIGN)
            for part in ("sparsegpt", "translation")
        ]
        if any(values is None for values in by_part):
            return []
        ours, wanda = by_part
        made.append(Repeated(measure, ours, float(wanda.mean())))
    return made
