"""Tables of docs/study.md without tests: what pruning costs in each language, and sentiment."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from study_hypotheses import (
    CODERS,
    CONTRAST,
    DISCRIMINATION,
    FOREIGN,
    LANGUAGES,
    LOG_PERPLEXITY,
    MIXTURE,
    NAMES,
    REPEATED,
    mask_shares,
    model,
    over_draws,
)
from study_scores import Scores
from study_statistics import CONFIDENCE, Measure, interval_of

from jaxprune.base.text import pipes
from jaxprune.evaluation.scoring.priors import right_without_prior


class Row(NamedTuple):
    """A row of a table: a change from one model to another, with {language} and {draw} in their names."""

    name: str
    part: str
    old: str
    new: str


COSTS = (
    *(
        Row(f"{kind}, {sparsity:.0%}", "translation", "dense", model(kind, sparsity))
        for sparsity in (0.3, 0.5)
        for kind in ("monolingual", "translation", "unpaired")
    ),
    *(
        Row(f"{kind}, 50%, {method}", part, "dense", model(calibration.format(kind), 0.5))
        for method, part, calibration in REPEATED.values()
        for kind in ("monolingual", "translation")
    ),
)
PLAIN, OVER_CODE = model("monolingual", 0.5), model("monolingual_vs_code", 0.5)
CODE = (
    Row("monolingual", "code", "dense", PLAIN),
    Row("translation over code", "code", "dense", model("translation_vs_code", 0.5)),
    Row("monolingual over code", "code", "dense", OVER_CODE),
    Row("monolingual over code − monolingual", "code", PLAIN, OVER_CODE),
)
TITLES = {
    LOG_PERPLEXITY: "Perplexity relative to the dense model's:",
    DISCRIMINATION: "Discrimination, change from the dense model in points:",
    CONTRAST: "Contrast, change from the dense model in percent of its contrast:",
}


def cost_tables(parts: Mapping[str, Scores]) -> str:
    """Perplexity and discrimination of each calibration in its own language, against the dense model's."""
    return _tables(parts, COSTS, FOREIGN, (LOG_PERPLEXITY, DISCRIMINATION))


def code_tables(parts: Mapping[str, Scores]) -> str:
    """The same of the code model, with contrast."""
    return _tables(parts, CODE, CODERS, (CONTRAST, DISCRIMINATION, LOG_PERPLEXITY))


def _tables(
    parts: Mapping[str, Scores],
    rows: Sequence[Row],
    languages: Sequence[str],
    measures: Sequence[Measure],
) -> str:
    header, dense = ("", *languages, "mean"), parts[rows[0].part]
    tables = []
    for measure in measures:
        lines = [["dense", *(_dense(dense, measure, code) for code in languages), ""]]
        for row in rows:
            each = (*([code] for code in languages), languages)
            lines.append([row.name, *(_change(parts, row, measure, codes) for codes in each)])
        tables.append("\n".join([TITLES[measure], "", *pipes(header, lines)]))
    return "\n\n".join(tables)


def _dense(scores: Scores, measure: Measure, code: str) -> str:
    if measure is LOG_PERPLEXITY:
        return f"{np.exp(scores.log_perplexity('dense', code).mean()):.2f}"
    if measure is CONTRAST:
        return f"{scores.contrast('dense', code).mean():.3f} nats"
    return f"{100 * scores.discrimination('dense', code).mean():.1f}%"


def _change(parts: Mapping[str, Scores], row: Row, measure: Measure, codes: Sequence[str]) -> str:
    """A change with its interval."""
    values = over_draws(parts, row.part, row.old, row.new, measure, codes)
    numbers = np.array([values.mean(), *interval_of(values, CONFIDENCE)[0]])
    if measure is LOG_PERPLEXITY:
        mean, low, high = (f"{one:#.3g}".rstrip(".") for one in np.exp(numbers))
    else:
        mean, low, high = (f"{100 * one:+.1f}".replace("-", "−") for one in numbers)
    return f"{mean} [{low}, {high}]"


def prose(parts: Mapping[str, Scores]) -> dict[str, str]:
    """Numbers of the page's text by name."""
    own = {code: perplexity_ratio(parts["languages"], 0.5, code, code) for code in LANGUAGES}
    made = {f"perplexity {code} in {code}": f"{ratio:.2f}" for code, ratio in own.items()}
    at_30 = {code: perplexity_ratio(parts["translation"], 0.3, code, code) for code in FOREIGN}
    for name, ratios in {"in own": own, "in own at 30%": at_30}.items():
        ends = (min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__))
        made[f"perplexity {name}"] = " to ".join(f"{ratios[c]:.2f} ({NAMES[c]})" for c in ends)
    worst = max(perplexity_ratio(parts["languages"], 0.5, MIXTURE, code) for code in LANGUAGES)
    made["worst after the mixture"] = f"{worst:.2f}"
    shares = mask_shares(parts)
    for name, share in zip(("draws", "languages"), shares, strict=True):
        made[f"shared by {name}"] = f"{share.mean():.1%}"
        made[f"not shared by {name}"] = f"{1 - share.mean():.1%}"
    dense = [parts["translation"].discrimination("dense", code).mean() for code in FOREIGN]
    made["discrimination, dense"] = f"{np.mean(dense):.1%}"
    for name, part, calibration in (("Wanda", "translation", "{}"), *REPEATED.values()):
        plain = Row(name, part, "dense", model(calibration.format("monolingual"), 0.5))
        made[f"perplexity by {name}"] = _change(parts, plain, LOG_PERPLEXITY, FOREIGN)
        made[f"discrimination by {name}"] = _change(parts, plain, DISCRIMINATION, FOREIGN)
    for kind in ("monolingual", "translation"):
        row = Row(kind, "translation", "dense", model(kind, 0.3))
        made[f"discrimination, {kind}, 30%"] = _change(parts, row, DISCRIMINATION, FOREIGN)
    made |= _pruned_twice(parts)
    for row in CODE:
        for measure in (CONTRAST, LOG_PERPLEXITY):
            made[f"code model, {row.name}, {measure.name}"] = _change(parts, row, measure, CODERS)
    for name, models in {"dense": ["dense"], "en": draws_of("en"), "zh": draws_of("zh")}.items():
        made[f"sentiment {name} in en"] = f"{np.mean(_accuracies(parts, models, 'en')):.1f}%"
    for name, figures in _highest(parts).items():
        made |= {f"{name} in {code}": figure for code, figure in zip(FOREIGN, figures, strict=True)}
    return made


def _pruned_twice(parts: Mapping[str, Scores]) -> dict[str, str]:
    """Perplexities of the models that two parts have in common."""
    names = [(one, code) for code in FOREIGN for one in draws_of(code)]
    pairs = [
        [parts[part].log_perplexity(*name) for part in ("languages", "translation")]
        for name in names
    ]
    same = sum(np.array_equal(one, other) for one, other in pairs)
    change = max(abs(np.expm1(other.mean() - one.mean())) for one, other in pairs)
    return {
        "pruned twice, same": f"{same} of {len(pairs)}",
        "pruned twice, change": f"{change:.1%}",
    }


def highest_table(parts: Mapping[str, Scores]) -> str:
    """Perplexity, chrF and BLEU after the weights of the highest scores were dropped, means over the draws."""
    rows = [[name, *figures] for name, figures in _highest(parts).items()]
    return "\n".join(pipes(("", *FOREIGN), rows))


def _highest(parts: Mapping[str, Scores]) -> dict[str, list[str]]:
    """The figures of each language, by measure and model."""
    scores = parts["highest"]

    def mean(name: str, sparsity: float, code: str) -> float:
        which = model("monolingual", sparsity, code)
        measure = getattr(scores, name)
        return float(np.mean([np.mean(measure(which.format(draw=d), code)) for d in range(1, 5)]))

    made = {}
    for sparsity in (0.001, 0.01):
        ratios = [perplexity_ratio(scores, sparsity, code, code) for code in FOREIGN]
        made[f"perplexity, {sparsity:.1%} dropped"] = [
            f"{float(f'{ratio:.3g}'):,.0f}" for ratio in ratios
        ]
    for name, shown in {"chrf": "chrF", "bleu": "BLEU"}.items():
        dense = [getattr(scores, name)("dense", code) for code in FOREIGN]
        made[f"{shown}, dense"] = [f"{one:.1f}" for one in dense]
        for sparsity in (0.001, 0.01):
            now = [mean(name, sparsity, code) for code in FOREIGN]
            made[f"{shown}, {sparsity:.1%} dropped"] = [f"{one:.1f}" for one in now]
    return made


def perplexity_ratio(scores: Scores, sparsity: float, source: str, code: str) -> float:
    """Perplexity of a language over the dense model's after calibration on text; geometric mean over draws.

    Args:
      source: the language of that text, or the mixture.
    """
    dense = scores.log_perplexity("dense", code).mean()
    each = [scores.log_perplexity(one, code).mean() for one in draws_of(source, sparsity)]
    return float(np.exp(np.mean(each) - dense))


def draws_of(source: str, sparsity: float = 0.5) -> list[str]:
    """The models that are calibrated on text of a language, or on the mixture."""
    return [model("monolingual", sparsity, source).format(draw=draw) for draw in range(1, 5)]


def sentiment_table(parts: Mapping[str, Scores]) -> str:
    """Accuracy without the options' priors, by language of the calibration, at 50%."""
    codes = ("en", "sw")
    rows = [["dense", *(_accuracy(parts, ["dense"], code) for code in codes)]]
    for language in (*LANGUAGES, MIXTURE):
        name = "all five" if language == MIXTURE else language
        rows.append(
            [f"text: {name}, 50%", *(_accuracy(parts, draws_of(language), code) for code in codes)]
        )
    return "\n".join(pipes(("", *codes), rows))


def _accuracy(parts: Mapping[str, Scores], models: list[str], code: str) -> str:
    """Its mean over models, with the lowest and the highest."""
    shares = _accuracies(parts, models, code)
    several = f" ({min(shares):.1f} to {max(shares):.1f})" if len(shares) > 1 else ""
    return f"{np.mean(shares):.1f}%{several}"


def _accuracies(parts: Mapping[str, Scores], models: list[str], code: str) -> list[float]:
    """Of each model, in percent."""
    scores = parts["languages"]
    return [
        100 * float(right_without_prior(scores.scored(one, "sentiment", code)).mean())
        for one in models
    ]
