"""Two evaluated runs → the language-damage table: what changed in each language, and is it real."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison.texts import (
    compare_perplexity,
    compare_translations,
    order,
    texts_of,
)
from jaxprune.evaluation.scoring import (
    ALPHA,
    CONFIDENCE,
    RESAMPLES,
    Difference,
    Scored,
    check_scores,
    holm,
    mcnemar,
    paired_bootstrap,
    task_metrics,
)
from jaxprune.files import read_json, read_npz
from jaxprune.pruning import masks
from jaxprune.runs import checkpoint

Pair = tuple[Scored, Scored]


@dataclass(frozen=True)
class Evaluated:
    """A task of a run: scores by language, and metrics.json, empty where there is none."""

    languages: dict[str, Scored]
    metrics: dict[str, Any]


def compare_runs(run_a: Path, run_b: Path, seed: int = 0) -> dict[str, Any]:
    """Compares what two runs say of the same rows.

    Rows are paired by number; figures of both runs are of the shared rows. `significant` is McNemar's exact
    p after Holm's correction over the languages of a task, at most ALPHA.

    Args:
      run_a, run_b: folders with `<task>/<language>.npz`, `perplexity/`, `translation/` and, for masks,
        `checkpoint/`.
      seed: of the bootstrap.

    Returns:
      JSON values, as in compare.json: `tasks`, `perplexity` and `translation` (see `compare_texts`), `left_out`
      (what only one run has), `masks` (None where they cannot be compared, and then `masks_note` says
      why), `method`. Shares, not percent; differences are b minus a.

    Raises:
      InputError: a run without evaluation, nothing in common, files that are broken or of other data.
    """
    runs = [read_run(run) for run in (run_a, run_b)]
    shared = {
        task: sorted(runs[0][task].languages.keys() & runs[1][task].languages.keys(), key=order)
        for task in sorted(runs[0].keys() & runs[1].keys())
    }
    shared = {task: codes for task, codes in shared.items() if codes}
    names = [
        [*_names(run), *texts_of(folder)] for run, folder in zip(runs, (run_a, run_b), strict=True)
    ]
    for folder, found in zip((run_a, run_b), names, strict=True):
        if not found:
            raise InputError(
                f"{folder}: not evaluated; expected <task>/<language>.npz, which "
                "scripts/evaluate.py writes"
            )
    listings = [[f"{task}/{code}" for task, code in found] for found in names]
    if not set(listings[0]) & set(listings[1]):
        has = (f"{a} has {' '.join(b)}" for a, b in zip((run_a, run_b), listings, strict=True))
        raise InputError(f"no task and language in both runs: {'; '.join(has)}")
    only = [
        [name for name in ours if name not in theirs] for ours, theirs in (listings, listings[::-1])
    ]
    overlap, note = _compare_masks(run_a, run_b)
    return {
        "a": str(run_a),
        "b": str(run_b),
        "tasks": {
            task: _compare_task(task, codes, runs[0][task], runs[1][task], seed)
            for task, codes in shared.items()
        },
        "perplexity": compare_perplexity(run_a, run_b),
        "translation": compare_translations(run_a, run_b),
        "left_out": {"only_a": only[0], "only_b": only[1]},
        "masks": overlap,
        "masks_note": note,
        "method": {
            "confidence": CONFIDENCE, "resamples": RESAMPLES, "seed": seed, "alpha": ALPHA,
            "significant": "McNemar's exact test, of translations BLEU by sacrebleu's paired bootstrap; "
            "Holm's correction over the languages of a task",
        },
    }  # fmt: skip


# Reading.


def read_run(run: Path) -> dict[str, Evaluated]:
    """The evaluated tasks of a run, by name.

    A file without `rows` has them numbered from 0. Files that hold neither scores nor labels are of another kind
    and passed over.

    Raises:
      InputError: no such folder, or a broken file.
    """
    if not run.is_dir():
        raise InputError(f"{run}: no such folder; expected the --workdir of an evaluated run")
    tasks: dict[str, Evaluated] = {}
    for file in sorted(run.glob("*/*.npz")):
        scored = _read_scores(file)
        if scored is not None:
            name = file.parent.name
            if name not in tasks:
                tasks[name] = Evaluated({}, _read_metrics(file.parent / "metrics.json"))
            tasks[name].languages[file.stem] = scored
    return tasks


def _read_scores(file: Path) -> Scored | None:
    arrays = read_npz(file)
    missing = {"scores", "labels"} - arrays.keys()
    if len(missing) == 2:
        return None
    if missing:
        raise InputError(f"{file}: no {missing.pop()}; expected scores, labels and rows")
    rows = arrays.get("rows", np.arange(np.size(arrays["labels"])))
    scored = Scored(arrays["scores"], arrays["labels"], rows)
    check_scores(scored, str(file))
    return scored


def _read_metrics(file: Path) -> dict[str, Any]:
    metrics = read_json(file)
    figures = metrics.get("languages", {})
    if not isinstance(figures, dict) or not all(isinstance(f, dict) for f in figures.values()):
        raise InputError(f'{file}: expected {{"languages": {{"fr": {{…}}, …}}, …}}')
    return metrics


def _names(run: Mapping[str, Evaluated]) -> Iterator[tuple[str, str]]:
    return ((task, code) for task in sorted(run) for code in sorted(run[task].languages, key=order))


# Comparing.


def _compare_task(
    task: str, codes: list[str], a: Evaluated, b: Evaluated, seed: int
) -> dict[str, Any]:
    for key, meaning in (("protocol", "protocol"), ("labels", "label names")):
        of_a, of_b = a.metrics.get(key), b.metrics.get(key)
        if None not in (of_a, of_b) and of_a != of_b:
            raise InputError(
                f"{task}: {meaning} {of_a} in A and {of_b} in B; expected the same in both"
            )
    pairs = {code: paired(f"{task}/{code}", a.languages[code], b.languages[code]) for code in codes}
    figures = [
        task_metrics({code: pair[side] for code, pair in pairs.items()}, _is_parallel(run))
        for side, run in enumerate((a, b))
    ]
    languages = {
        code: _compare_language(code, pairs[code], figures, seed)
        | {"rows_a": len(a.languages[code].rows), "rows_b": len(b.languages[code].rows)}
        for code in codes
    }
    adjusted = holm([languages[code]["p"]["mcnemar"] for code in codes])
    for code, p in zip(codes, adjusted, strict=True):
        languages[code]["p"]["holm"] = p
        languages[code]["significant"] = p <= ALPHA
    others = {code: pair for code, pair in pairs.items() if code != "en"}
    return {
        "protocol": a.metrics.get("protocol", b.metrics.get("protocol")),
        "languages": languages,
        "mean": compare_means(pairs, seed),
        "mean_non_english": compare_means(others, seed) if others else None,
        "worst": {"a": figures[0]["worst"], "b": figures[1]["worst"]},
    }


def paired(where: str, a: Scored, b: Scored) -> Pair:
    """The rows that both have, in the order of their numbers."""
    shared, in_a, in_b = np.intersect1d(a.rows, b.rows, assume_unique=True, return_indices=True)
    if not shared.size:
        raise InputError(f"{where}: no row is in both runs; expected runs on the same rows")
    if a.scores.shape[1] != b.scores.shape[1]:
        raise InputError(
            f"{where}: {a.scores.shape[1]} scores a row in A and {b.scores.shape[1]} in B; "
            "expected the same options in both"
        )
    one, two = (Scored(*(array[at] for array in s)) for s, at in ((a, in_a), (b, in_b)))
    differ = np.flatnonzero(one.labels != two.labels)
    if differ.size:
        row = differ[0]
        raise InputError(
            f"{where}: row {shared[row]} has label {one.labels[row]} in A and {two.labels[row]} in "
            "B; expected runs on the same data"
        )
    return one, two


def _is_parallel(run: Evaluated) -> bool:
    """Whether evaluation found that a row is the same question in all languages: it gave RankC."""
    figures = run.metrics.get("languages")
    return not figures or any("rankc" in figure for figure in figures.values())


def _compare_language(
    code: str, pair: Pair, figures: list[dict[str, Any]], seed: int
) -> dict[str, Any]:
    one, two = (figure["languages"][code] for figure in figures)

    def both(key: str) -> dict[str, Any]:
        return {"a": one[key], "b": two[key]}

    a, b = (scored.correct for scored in pair)
    gaps = [figure["gap_to_english"].get(code) for figure in figures]
    found = {"rows": one["rows"], "accuracy": both("accuracy"), "f1": both("f1")}
    found["accuracy_interval"] = both("interval")
    found |= _of_difference(paired_bootstrap(a, b, seed=seed))
    found["p"]["mcnemar"] = mcnemar(a, b)
    found["gap_to_english"] = None if gaps[0] is None else dict(zip("ab", gaps, strict=True))
    found["rankc"] = both("rankc") if "rankc" in one and "rankc" in two else None
    return found


def _of_difference(found: Difference) -> dict[str, Any]:
    return {
        "difference": found.difference,
        "interval": [found.low, found.high],
        "p": {"bootstrap": found.p},
    }


def compare_means(pairs: Mapping[str, Pair], seed: int) -> dict[str, Any]:
    """Means over languages. A row of the bootstrap is a row in all the languages that have it.

    The translations of a row are right or wrong together, and drawn one by one they would pass for
    more evidence than they are. Where rows of equal number have nothing in common this does no harm.
    """
    rows = np.unique(np.concatenate([one.rows for one, _ in pairs.values()]))
    change = np.zeros(len(rows))  # of each row, so that their mean is the mean over languages
    for one, two in pairs.values():
        changed = two.correct.astype(np.float64) - one.correct
        change[np.searchsorted(rows, one.rows)] += changed / len(changed) * len(rows) / len(pairs)
    means = [
        float(np.mean([pair[side].correct.mean() for pair in pairs.values()])) for side in (0, 1)
    ]
    tested = _of_difference(paired_bootstrap(np.zeros(len(rows)), change, seed=seed))
    return {"accuracy": dict(zip("ab", means, strict=True))} | tested


def _compare_masks(run_a: Path, run_b: Path) -> tuple[dict[str, Any] | None, str | None]:
    """IoU of the kept weights, or why there is none."""
    try:
        trees = [_read_masks(run) for run in (run_a, run_b)]
        iou = masks.overlap(*trees)
    except checkpoint.DamagedError:
        raise
    except InputError as error:
        return None, str(error)
    a, b = (masks.density(tree).overall for tree in trees)
    return {
        "overall": iou.overall,
        # of masks that know nothing of each other
        "independent": a * b / (a + b - a * b) if a + b else 1.0,
        "layers": list(iou.layers),
        "kernels": iou.leaves,
        "density": {"a": a, "b": b},
    }, None


def _read_masks(run: Path) -> dict[str, Any]:
    return masks.unpack(checkpoint.restore_packed_masks(run / "checkpoint"))
