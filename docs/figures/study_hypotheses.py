"""The hypotheses of docs/study.md: their comparisons, from the scores of the models."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from study_scores import Scores
from study_statistics import Measure, Repeated, Test, Values

from jaxprune.evaluation.scoring.metrics import RESAMPLES, cluster_values

NAMES = {"en": "English", "fr": "French", "ru": "Russian", "zh": "Chinese", "sw": "Swahili"}
LANGUAGES = tuple(NAMES)
FOREIGN = LANGUAGES[1:]
CODERS = ("fr", "ru")
MIXTURE = "+".join(LANGUAGES)
DRAWS = {"code": 3, "sparsegpt": 2, "owl": 2}  # 4 in the other parts
# H2a by other methods: their names, parts, and calibrations.
REPEATED = {
    "H7": ("SparseGPT", "sparsegpt", "{}"),
    "H7b": ("SparseGPT with OWL", "owl", "{}"),
    "H7c": ("SparseGPT with recovery", "sparsegpt", "{}_recovered"),
}
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
) -> Values:
    """The mean change over languages, [draws, groups].

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

    return np.stack([of_draw(draw) for draw in _draws(part)])


def _draws(part: str) -> range:
    return range(1, DRAWS.get(part, 4) + 1)


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
    mixture = _rises(parts, MIXTURE)
    for code in LANGUAGES:
        single = _rises(parts, code)
        found = mixture.largest() - single.largest()
        bootstrap = _bootstrap(mixture, single)
        yield Test("H4b", f"mixture − {code}, 50%", WORST, found, bootstrap=bootstrap)


class _Rises(NamedTuple):
    """Rises of log-perplexity over the dense model after one calibration, by language [draws, runs of lines]."""

    by_language: dict[str, Values]

    def means(self, counts: Values | None = None) -> Values:
        """[..., draws, languages]: means over the runs, each of which counts as often as `counts` [..., runs] says."""

        def mean(rises: Values) -> Values:
            if counts is None:
                return rises.mean(axis=1)
            often = counts[..., : rises.shape[1]]  # a text may lack its last run in some languages
            return (often @ rises.T) / often.sum(axis=-1, keepdims=True)

        return np.stack([mean(rises) for rises in self.by_language.values()], axis=-1)

    def largest(self, counts: Values | None = None) -> Values:
        """[..., draws]: the rise in the language that suffers most."""
        return self.means(counts).max(axis=-1)

    def worst(self) -> list[str]:
        """By draw, the language that suffers most."""
        names = [*self.by_language]
        return [names[place] for place in self.means().argmax(axis=-1)]


def _rises(parts: Mapping[str, Scores], language: str) -> _Rises:
    """The rises in the five languages after calibration on one, or on the mixture."""
    name, change = model("monolingual", 0.5, language), _difference("log_perplexity")
    draws = [name.format(draw=draw) for draw in _draws("languages")]
    return _Rises(
        {
            code: np.stack([change(parts["languages"], "dense", one, code) for one in draws])
            for code in LANGUAGES
        }
    )


def _bootstrap(mixture: _Rises, single: _Rises) -> tuple[float, float]:
    """95% of the difference of the largest rises, over draws and runs of lines that are resampled independently."""
    rng, draws = np.random.default_rng(0), len(mixture.largest())
    runs = max(rises.shape[1] for rises in mixture.by_language.values())
    of_draws, of_runs = (
        rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float) for n in (draws, runs)
    )
    differences = mixture.largest(of_runs) - single.largest(of_runs)
    means = (differences * of_draws).sum(axis=1) / draws
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def worst_is_absent(parts: Mapping[str, Scores]) -> tuple[int, int]:
    """In how many models of one language the language that suffers most is another, and the number of these models."""
    worst = [(code, one) for code in LANGUAGES for one in _rises(parts, code).worst()]
    return sum(code != one for code, one in worst), len(worst)


def _masks(parts: Mapping[str, Scores]) -> Iterator[Test]:
    of_draws, of_languages = mask_shares(parts)
    name = "draws of one language − languages of one draw"
    yield Test("H5", name, SHARE, of_draws - of_languages)


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
        chrf, perplexity = kept_of_dense(parts, sparsity)
        yield Test(
            "H6", f"monolingual, {sparsity:.1%} dropped", RATIO, chrf - perplexity,
            is_at_floor=_is_nothing_translated(parts, sparsity),
        )  # fmt: skip


def _is_nothing_translated(parts: Mapping[str, Scores], sparsity: float) -> bool:
    """Whether BLEU is below 1 in each model and language: chrF then counts letters that any two texts share."""
    name = model("monolingual", sparsity)
    models = ((name.format(language=c, draw=d), c) for c in FOREIGN for d in _draws("highest"))
    return all(parts["highest"].bleu(*one) < 1 for one in models)


def kept_of_dense(parts: Mapping[str, Scores], sparsity: float) -> tuple[Values, Values]:
    """By draw, means over languages: chrF over the dense model's, and its perplexity over that of the model."""
    scores, name = parts["highest"], model("monolingual", sparsity)

    def of_language(draw: int, code: str) -> tuple[float, float]:
        now = name.format(language=code, draw=draw)
        rise = scores.log_perplexity(now, code).mean() - scores.log_perplexity("dense", code).mean()
        return scores.chrf(now, code) / scores.chrf("dense", code), float(np.exp(-rise))

    each = [[of_language(draw, code) for code in FOREIGN] for draw in _draws("highest")]
    chrf, perplexity = np.mean(each, axis=1).T
    return chrf, perplexity


def repeated_tests(parts: Mapping[str, Scores]) -> list[Repeated]:
    """The tests of H7, H7b and H7c."""

    def change(part: str, calibration: str, measure: Measure) -> Values:
        kinds = ("monolingual", "translation")
        old, new = (model(calibration.format(kind), 0.5) for kind in kinds)
        return over_draws(parts, part, old, new, measure, FOREIGN)

    return [
        Repeated(
            Test(
                name, f"translation − monolingual, 50%, {method}", measure, change(*which, measure)
            ),
            float(change("translation", "{}", measure).mean()),
        )
        for name, (method, *which) in REPEATED.items()
        for measure in (DISCRIMINATION, LOG_PERPLEXITY)
    ]
