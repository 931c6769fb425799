"""Numbers on what the study can show: power, coverage of its intervals, and what an audit asked of its scores."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import study_hypotheses as hypotheses
from scipy.optimize import brentq
from scipy.stats import t as student
from study_costs import draws_of
from study_hypotheses import FOREIGN, LOG_PERPLEXITY, model, over_draws
from study_scores import Scores
from study_statistics import CONFIDENCE, Result, Values, interval_of

from jaxprune.evaluation.scoring.mixed_effects import mixed_model
from jaxprune.evaluation.scoring.priors import right_without_prior

POWER = 0.8
SIMULATIONS = 4000


def prose(parts: Mapping[str, Scores], results: Sequence[Result]) -> dict[str, str]:
    """Numbers of the page's text by name."""
    made = {
        f"H2a 50% in {code} percent": _percent(_translation_in(parts, code)) for code in FOREIGN
    }
    for text in ("zh", "sw"):
        values = _sentiment(parts, text) - _sentiment(parts, "en")
        numbers = 100 * np.array([values.mean(), *interval_of(values, CONFIDENCE)[0]])
        made[f"sentiment {text} − en in en"] = _shown(numbers, " points", 1)
    absent, cases = hypotheses.worst_is_absent(parts)
    made["worst language absent"] = f"{absent} of {cases}"
    for one in results:
        if one.test.values.ndim == 2:
            made |= dict(_power(one))
    for name, part in {"Wanda": "translation", "SparseGPT with OWL": "owl"}.items():
        made[f"coverage of two draws, {name}"] = f"{coverage(_translation(parts, part), 2):.0%}"
    made["coverage of four draws, Wanda"] = f"{coverage(_translation(parts, 'translation'), 4):.0%}"
    return made


def _translation(parts: Mapping[str, Scores], part: str) -> Values:
    """The change of log-perplexity by translations at 50%, mean of the languages."""
    old, new = model("monolingual", 0.5), model("translation", 0.5)
    return over_draws(parts, part, old, new, LOG_PERPLEXITY, FOREIGN)


def _translation_in(parts: Mapping[str, Scores], code: str) -> Values:
    old, new = model("monolingual", 0.5), model("translation", 0.5)
    return over_draws(parts, "translation", old, new, LOG_PERPLEXITY, [code])


def _percent(values: Values) -> str:
    """A change of log-perplexity as a change of perplexity in percent."""
    bounds = interval_of(values, CONFIDENCE)[0]
    return _shown(100 * np.expm1([values.mean(), *bounds]), "%", 1)


def _shown(numbers: Sequence[float], unit: str, digits: int) -> str:
    mean, low, high = (f"{x:+.{digits}f}".replace("-", "−") for x in numbers)
    return f"{mean}{unit} [{low}, {high}]"


def _sentiment(parts: Mapping[str, Scores], text: str) -> Values:
    """Whether each English sentence is right without the options' priors, by draw, after text of a language."""
    scores = parts["languages"]
    each = [right_without_prior(scores.scored(m, "sentiment", "en")) for m in draws_of(text)]
    return np.stack(each).astype(float)


def error_of(values: Values) -> tuple[float, float]:
    """The standard error of the mean in the mixed model, and its degrees of freedom, from two of its intervals."""
    ends = (interval_of(values, confidence)[0] for confidence in (CONFIDENCE, 0.5))
    wide, narrow = ((high - low) / 2 for low, high in ends)

    def excess(freedom: float) -> float:
        return float(student.ppf(0.975, freedom) / student.ppf(0.75, freedom) - wide / narrow)

    freedom = brentq(excess, 1, 1e6)
    return wide / float(student.ppf(0.975, freedom)), freedom


def _power(one: Result) -> Iterator[tuple[str, str]]:
    """The change that a test detects with a power of 80%, uncorrected, and how often it refutes a change that is 0."""
    measure = one.test.measure
    error, freedom = error_of(one.test.values)
    name = f"{one.test.hypothesis} {one.test.name} {measure.name}"
    detected = error * float(student.ppf(0.975, freedom) + student.ppf(POWER, freedom))
    digits = 1 if measure.shown == 100 else 3
    yield f"{name} detectable", f"{measure.shown * detected:.{digits}f}{measure.unit}"
    reach = (one.corrected[1] - one.corrected[0]) / 2
    refuted = student.cdf((measure.least - reach) / error, freedom)
    yield f"{name} refuted at 0", f"{refuted:.0%}"


def coverage(values: Values, draws: int) -> float:
    """How often the mixed model's 95% interval contains the mean, in data with the variances of these values.

    Args:
      values: [draws, groups], from which the variances of draws, groups and rest are estimated.
      draws: of the simulated data, which have as many groups.
    """
    of_draw, of_group, rest = _variances(values)
    rng, groups = np.random.default_rng(0), values.shape[1]

    def contains() -> bool:
        effects = (
            rng.normal(0, scale**0.5, shape)
            for scale, shape in (
                (of_draw, (draws, 1)), (of_group, (1, groups)), (rest, (draws, groups)),
            )
        )  # fmt: skip
        found = mixed_model(sum(effects))
        assert found is not None, "one draw"
        return bool(found[0][0] <= 0 <= found[0][1])

    return float(np.mean([contains() for _ in range(SIMULATIONS)]))


def _variances(values: Values) -> tuple[float, float, float]:
    """Of draws, of groups and of the rest, by mean squares."""
    draws, groups = values.shape
    by_draw, by_group = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    rest = values - by_draw - by_group + values.mean()
    error = np.square(rest).sum() / ((draws - 1) * (groups - 1))
    return (
        max(0.0, float(by_draw.var(ddof=1) - error / groups)),
        max(0.0, float(by_group.var(ddof=1) - error / draws)),
        float(error),
    )
