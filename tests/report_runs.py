"""Workdirs for the tests of html_report: a dense and a pruned run with everything that a page shows."""

import json

import numpy as np
from known_stats import stats_from_squares
from run_json import write_report

from jaxprune.evaluation.evaluation import Part
from jaxprune.evaluation.folders import write_part
from jaxprune.evaluation.scoring.metrics import task_measurements
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY, Perplexity, perplexity_measurements
from jaxprune.evaluation.scoring.scores import Scored
from jaxprune.evaluation.translation.evaluate import translation_measurements
from jaxprune.evaluation.translation.results import TRANSLATION, Translated
from jaxprune.report.charts.chart import write_png
from jaxprune.report.charts.rows import bar_chart
from jaxprune.runs import checkpoint

LABELS = np.random.default_rng(0).integers(0, 3, 400).astype(np.int32)
ROWS = np.arange(400, dtype=np.int32)
GROUPS = ROWS // 4 * 4
# how clearly each language is told apart before and after: fr gains, sw loses, es hardly changes
WEIGHTS = {"en": (2.0, 2.0), "es": (1.2, 1.25), "fr": (0.8, 1.9), "sw": (1.6, 0.3)}
SITES = (("attention/query/kernel", "qkv"), ("mlp/up/kernel", "mlp_in"))
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


def evaluate(folder, side, task="xnli", **facts):
    """Writes what an evaluation leaves: scores and translations."""
    scored = {code: Scored(scores(code, side), LABELS, ROWS, GROUPS) for code in WEIGHTS}
    write_task(folder, task, scored, protocol="paper", labels=None, model=f"models/{side}", **facts)
    translated = {}
    for code, pair in WRONG.items():
        hypotheses = [
            line.replace("sleeps", "is") if row < pair[side] else line
            for row, line in enumerate(REFERENCES)
        ]
        translated[code] = Translated(REFERENCES, hypotheses, REFERENCES)
    source = (folder.name, f"models/{side}", TRANSLATION)
    protocol = {"target": "en", "shots": 4, "max_new_tokens": 9}
    measured, signatures = translation_measurements(source, translated, "en")
    about = {"run": folder.name, "protocol": protocol, "signatures": signatures}
    about["languages"] = [*translated]
    write_part(folder, TRANSLATION, Part(facts=about, measurements=measured, rows=translated))


def write_task(folder, task, scored, **facts):
    """Writes the scores of a task."""
    about = {"run": folder.name, "task": task, "languages": list(scored), **facts}
    measured = task_measurements((folder.name, facts.get("model", "m"), task), scored)
    write_part(folder, task, Part(facts=about, measurements=measured, rows=scored))


def write_perplexity(folder, parts, **facts):
    """Writes the perplexity of texts, by language the mean log-probabilities of parts of ten tokens and 40 bytes."""
    sizes = {code: np.full(len(values), 10) for code, values in parts.items()}
    texts = {
        code: Perplexity(
            total=10 * float(np.sum(values)), tokens=10 * len(values), bytes=40 * len(values),
            part_sums=10 * np.asarray(values, float),
            part_tokens=sizes[code], part_bytes=4 * sizes[code],
        )
        for code, values in parts.items()
    }  # fmt: skip
    about = {"run": folder.name, "languages": list(parts), **facts}
    measured = perplexity_measurements((folder.name, "m", PERPLEXITY), texts)
    write_part(folder, PERPLEXITY, Part(facts=about, measurements=measured, rows=texts))


def stats_of(roles, sites=SITES, layers=3, size=40):
    """Statistics with one feature that is far larger than the others."""
    rng = np.random.default_rng(5)
    names = [site for _, site in sites]
    sums = {}
    for role in roles:
        sums[role] = {s: (rng.random((layers, size)) + 0.5).astype(np.float32) for s in names}
        for layer_sums in sums[role].values():
            layer_sums[:, 7] *= 5000
    return stats_from_squares(sums, dict.fromkeys(roles, 250), tuple(sites))


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
    checkpoint.save_stats(folder / "stats", stats_of(["translation"]))


def analyse(folder):
    """Writes what a page shows of an analysis; returns its picture."""
    figure = folder / "analysis" / "figures" / "overlap_hidden.png"
    figure.parent.mkdir(parents=True)
    write_png(bar_chart([("a", 1.0)], title="overlap", most=2), figure)
    write_json(folder / "analysis" / "analysis.json", {"tokens": {"monolingual/fr": 9}})
    return figure.read_bytes()


def make_runs(folder):
    """(dense, pruned): both evaluated; the second one also pruned and analysed."""
    dense, pruned = folder / "dense", folder / "pruned"
    for side, run in enumerate((dense, pruned)):
        evaluate(run, side)
    prune(pruned)
    analyse(pruned)
    return dense, pruned
