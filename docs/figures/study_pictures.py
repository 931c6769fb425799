"""The pictures of docs/study.md."""

from collections.abc import Mapping

import numpy as np
from study_costs import perplexity_ratio
from study_hypotheses import (
    DISCRIMINATION,
    FOREIGN,
    LANGUAGES,
    LOG_PERPLEXITY,
    MIXTURE,
    NAMES,
    model,
    over_draws,
)
from study_scores import Scores
from study_statistics import CONFIDENCE, Measure, interval_of

from jaxprune.report.charts.chart import Chart
from jaxprune.report.charts.heatmap import heatmap
from jaxprune.report.charts.panels import grid
from jaxprune.report.charts.rows import Estimate, interval_chart

MEAN = "mean"
KINDS = {"translation": "translations into English", "unpaired": "the same sentences, not paired"}
OPTIONS = ("Yes", "Also", "No")


def pictures(parts: Mapping[str, Scores]) -> dict[str, Chart]:
    """By name."""
    makers = {
        "plain": against_plain, "options": options, "languages": cross_matrix, "masks": masks,
    }  # fmt: skip
    return {name: make(parts) for name, make in makers.items()}


def against_plain(parts: Mapping[str, Scores]) -> Chart:
    """Changes from plain text, in each language and on average."""
    charts = [
        interval_chart(
            {name: _changes(parts, kind, sparsity, measure) for kind, name in KINDS.items()},
            title=f"{sparsity:.0%} dropped", unit=unit, reference=("unchanged", 0.0),
        )
        for sparsity in (0.3, 0.5)
        for measure, unit in (
            (LOG_PERPLEXITY, "log-perplexity (lower is better)"),
            (DISCRIMINATION, "discrimination, points (higher is better)"),
        )
    ]  # fmt: skip
    title = (
        "Calibration on translations against plain text of the same language\n"
        "95% intervals over 4 draws of text, and over 334 premises or 50 runs of lines"
    )
    return grid(charts, title=title, columns=2)


def _changes(
    parts: Mapping[str, Scores], kind: str, sparsity: float, measure: Measure
) -> dict[str, Estimate]:
    made = {}
    for name, codes in {**{NAMES[code]: [code] for code in FOREIGN}, MEAN: FOREIGN}.items():
        pair = model("monolingual", sparsity), model(kind, sparsity)
        values = over_draws(parts, "translation", *pair, measure, codes)
        (low, high), _ = interval_of(values, CONFIDENCE)
        estimate = (values.mean(), low, high)
        made[name] = Estimate(*(measure.shown * float(one) for one in estimate))
    return made


def options(parts: Mapping[str, Scores]) -> Chart:
    """How often each option of XNLI is predicted, before and after; a third of the rows each is right."""
    scores = parts["translation"]
    rows = {"dense": ["dense"]}
    for sparsity in (0.3, 0.5):
        for kind in ("monolingual", "translation", "unpaired"):
            rows[f"{kind}, {sparsity:.0%}"] = [
                model(kind, sparsity).replace("{draw}", str(draw)) for draw in range(1, 5)
            ]
    shares = [[_chosen(scores, names, code) for code in FOREIGN] for names in rows.values()]
    columns = [f"{NAMES[code]} {option}" for code in FOREIGN for option in OPTIONS]
    return heatmap(
        100 * np.reshape(shares, (len(rows), -1)), [*rows], columns,
        title="Predicted options of XNLI, mean over 4 draws; a third each is right",
        unit="% of the rows", show=lambda share: f"{share:.0f}", limits=(0, 100),
    )  # fmt: skip


def _chosen(scores: Scores, names: list[str], code: str) -> np.ndarray:
    """The mean share of each option over the draws."""
    each = [scores.scored(name.format(language=code), "xnli", code).scores for name in names]
    return np.mean([np.eye(3)[one.argmax(axis=1)].mean(axis=0) for one in each], axis=0)


def cross_matrix(parts: Mapping[str, Scores]) -> Chart:
    """Perplexity over the dense model's, by language of the calibration and of the text."""
    sources, scores = [*LANGUAGES, MIXTURE], parts["languages"]
    rows = [[perplexity_ratio(scores, 0.5, one, code) for code in LANGUAGES] for one in sources]
    return heatmap(
        np.array(rows),
        [NAMES.get(source, "all five") for source in sources],
        [NAMES[code] for code in LANGUAGES],
        title="Perplexity relative to the dense model's, 50% dropped, mean over 4 draws\n(colours on a log scale)",
        x_title="evaluation text", y_title="calibration text",
        unit="times the dense model's", log=True, show=lambda ratio: f"{ratio:.2f}",
    )  # fmt: skip


def masks(parts: Mapping[str, Scores]) -> Chart:
    """Kept weights in common: of draws of a language, and of languages on a draw."""
    shared = parts["languages"].shared
    draws = range(1, 5)

    def name(code: str, draw: int) -> str:
        return model("monolingual", 0.5, code).format(draw=draw)

    def estimate(pairs: list[list[tuple[str, str]]]) -> Estimate:
        values = np.array([100 * np.mean([shared[pair] for pair in each]) for each in pairs])
        (low, high), _ = interval_of(values, CONFIDENCE)
        return Estimate(float(values.mean()), low, high)

    series: dict[str, dict[str, Estimate]] = {
        "same language, other draws (mean)": {},
        "same draw, other languages (mean)": {},
    }
    for code in LANGUAGES:
        series["same language, other draws (mean)"][NAMES[code]] = estimate(
            [[(name(code, d), name(code, e)) for e in draws if e != d] for d in draws]
        )
        series["same draw, other languages (mean)"][NAMES[code]] = estimate(
            [[(name(code, d), name(b, d)) for b in LANGUAGES if b != code] for d in draws]
        )
    return interval_chart(
        series,
        title="Kept weights in common with other masks of 50%\n95% intervals over 4 draws, smaller than the marks",
        unit="% of the kept weights",
    )
