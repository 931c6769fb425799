"""Workdirs for the tests of html_report: a dense and a pruned run with everything that a page shows."""

import json

import numpy as np
from evaluated import part, text, translated
from known_stats import stats_from_squares
from run_json import write_report

from jaxprune.evaluation.folders import write_part
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.evaluation.scoring.scores import Scored
from jaxprune.evaluation.translation.results import TRANSLATION
from jaxprune.report.charts.chart import write_png
from jaxprune.report.charts.rows import bar_chart
from jaxprune.steps import checkpoint

LABELS = np.random.default_rng(0).integers(0, 3, 400).astype(np.int32)
ROWS = np.arange(400, dtype=np.int32)
# how clearly each language is told apart before and after: fr gains, sw loses, es hardly changes
WEIGHTS = {"en": (2.0, 2.0), "es": (1.2, 1.25), "fr": (0.8, 1.9), "sw": (1.6, 0.3)}
SPARSITY = {
    "overall": 0.2975,
    "layers": [0.25, 0.3, 0.3425],
    "kernels": {"attention/query/kernel": 0.2812, "mlp/up/kernel": 0.3137},
}
REFERENCES = [f"the small cat number {row} sleeps in the garden" for row in range(20)]
# how many of them are translated wrongly before and after
WRONG = {"es": (4, 3), "fr": (9, 2), "sw": (1, 18)}


def scores(code, side):
    seed = sorted(WEIGHTS).index(code)
    noise = np.random.default_rng(seed).normal(size=(len(LABELS), 3))
    jitter = np.random.default_rng(seed + 100 * side).normal(size=noise.shape) * 0.3 * side
    return (noise + jitter + WEIGHTS[code][side] * np.eye(3)[LABELS]).astype(np.float32)


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_rows(folder, name, rows, **facts):
    """Writes a part of an evaluation: its rows by language."""
    write_part(folder, name, part(folder.name, name, rows, **facts))


def evaluate(folder, side, task="xnli", **facts):
    """Writes the scores of a task."""
    scored = {code: Scored(scores(code, side), LABELS, ROWS, ROWS // 4 * 4) for code in WEIGHTS}
    write_rows(folder, task, scored, **facts)


def translate(folder, side):
    """Writes translations."""
    lines = {code: [*REFERENCES] for code in WRONG}
    for code, wrong in WRONG.items():
        lines[code][: wrong[side]] = ["the small cat is in the garden"] * wrong[side]
    rows = {code: translated(hypotheses, REFERENCES) for code, hypotheses in lines.items()}
    write_rows(folder, TRANSLATION, rows)


def write_perplexity(folder, parts, **facts):
    """Writes the perplexity of texts, by language the mean log-probabilities of parts of ten tokens and 40 bytes."""
    rows = {
        code: text(
            total=10 * float(np.sum(means)),
            tokens=10 * len(means),
            parts=[(10 * mean, 10, 40) for mean in means],
        )
        for code, means in parts.items()
    }
    write_rows(folder, PERPLEXITY, rows, **facts)


def known_statistics():
    """Statistics of three layers with one feature that is far larger than the others."""
    rng = np.random.default_rng(5)
    sums = {site: (rng.random((3, 40)) + 0.5).astype(np.float32) for site in ("qkv", "mlp_in")}
    for layer_sums in sums.values():
        layer_sums[:, 7] *= 5000
    kernels = (("attention/query/kernel", "qkv"), ("mlp/up/kernel", "mlp_in"))
    return stats_from_squares({"translation": sums}, {"translation": 250}, kernels)


def prune(folder):
    """Writes what a pruning run leaves, without parameters."""
    config = {
        "model": "bigscience/bloom-560m",
        "calibration": {"kind": "translation", "source": "fr", "target": "en"},
        "pruning": {"criterion": "wanda", "sparsity": 0.3, "pattern": "unstructured"},
    }
    write_json(folder / "config.json", config)
    report = {"sparsity": SPARSITY, "tokens": {"translation": 8874}, "digests": {"masks": "22a1f0"}}
    write_report(folder / "report.json", report)
    checkpoint.save_stats(folder / "stats", known_statistics())


def analyse(folder):
    """Writes what a page shows of an analysis; returns its picture."""
    figure = folder / "analysis" / "figures" / "overlap_hidden.png"
    figure.parent.mkdir(parents=True)
    write_png(bar_chart([("a", 1.0)], title="overlap", most=2), figure)
    analysis = {"tokens": {"monolingual/fr": 9}, "config": {"model": "analysed model"}}
    write_json(folder / "analysis" / "analysis.json", analysis)
    return figure.read_bytes()


def make_runs(folder):
    """(dense, pruned): both evaluated; the second one also pruned and analysed."""
    dense, pruned = folder / "dense", folder / "pruned"
    for side, run in enumerate((dense, pruned)):
        evaluate(run, side)
        translate(run, side)
    prune(pruned)
    analyse(pruned)
    return dense, pruned
