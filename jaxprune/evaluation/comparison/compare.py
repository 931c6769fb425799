"""Two evaluated runs → the language-damage table: what changed in each language, and is it real."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from jaxprune.errors import InputError, listed
from jaxprune.evaluation.comparison.masks import compare_masks
from jaxprune.evaluation.comparison.metrics_files import read_metrics
from jaxprune.evaluation.comparison.records import (
    Comparison,
    ComparisonMethod,
    Evaluated,
    LanguageComparison,
    LeftOut,
    MeanComparison,
    ProbabilityComparison,
    PValues,
    Sides,
    TaskComparison,
)
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
    TaskMetrics,
    check_scores,
    holm,
    mcnemar,
    paired_bootstrap,
    task_metrics,
)
from jaxprune.files import read_npz
from jaxprune.runs import check_scored_model


def compare_runs(run_a: Path, run_b: Path, seed: int = 0) -> Comparison:
    """Compares what two runs say of the same rows.

    Rows are paired by number; figures of both runs are of the shared rows. `significant` is McNemar's exact
    p after Holm's correction over the languages of a task, at most ALPHA.

    Args:
      run_a, run_b: folders with `<task>/<language>.npz`, `perplexity/`, `translation/` and, for masks,
        `checkpoint/`.
      seed: of the bootstrap.

    Raises:
      InputError: a run without evaluation, nothing in common, files that are broken or of other data.
    """
    folders = Sides(run_a, run_b)
    runs = Sides(read_run(run_a), read_run(run_b))
    shared = {
        task: sorted(runs.a[task].languages.keys() & runs.b[task].languages.keys(), key=order)
        for task in sorted(runs.a.keys() & runs.b.keys())
    }
    left_out = _left_out(folders, runs)
    overlap, note = compare_masks(run_a, run_b)
    return Comparison(
        a=str(run_a),
        b=str(run_b),
        tasks={
            task: _compare_task(task, codes, Sides(runs.a[task], runs.b[task]), seed)
            for task, codes in shared.items()
            if codes
        },
        perplexity=compare_perplexity(run_a, run_b),
        translation=compare_translations(run_a, run_b),
        left_out=left_out,
        masks=overlap,
        masks_note=note,
        method=comparison_method(seed),
    )


def comparison_method(seed: int = 0) -> ComparisonMethod:
    """How this version compares."""
    return ComparisonMethod(
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        seed=seed,
        alpha=ALPHA,
        significant="McNemar's exact test, of translations BLEU by sacrebleu's paired bootstrap; "
        "Holm's correction over the languages of a task",
    )


def _left_out(folders: Sides[Path], runs: Sides[dict[str, Evaluated]]) -> LeftOut:
    """What only one run has; refuses runs that have nothing, or nothing in common."""
    names = Sides(*(_names(folder, run) for folder, run in zip(folders, runs, strict=True)))
    for folder, evaluated in zip(folders, names, strict=True):
        if not evaluated:
            raise InputError(
                f"{folder}: not evaluated; expected <task>/<language>.npz, which "
                "scripts/evaluate.py writes"
            )
    if not {*names.a} & {*names.b}:
        has = (f"{folder} has {listed(n, ' ')}" for folder, n in zip(folders, names, strict=True))
        raise InputError(f"no task and language in both runs: {'; '.join(has)}")
    return LeftOut(
        only_a=tuple(name for name in names.a if name not in names.b),
        only_b=tuple(name for name in names.b if name not in names.a),
    )


def _names(folder: Path, run: Mapping[str, Evaluated]) -> list[str]:
    """All that a run has, as "xnli/fr"."""
    return [f"{task}/{code}" for task, code in [*_scored_names(run), *texts_of(folder)]]


def _scored_names(run: Mapping[str, Evaluated]) -> Iterator[tuple[str, str]]:
    return ((task, code) for task in sorted(run) for code in sorted(run[task].languages, key=order))


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
    check_scored_model(run)
    tasks: dict[str, dict[str, Scored]] = {}
    for file in sorted(run.glob("*/*.npz")):
        scored = _read_scores(file)
        if scored is not None:
            tasks.setdefault(file.parent.name, {})[file.stem] = scored
    return {task: _evaluated(run / task, languages) for task, languages in tasks.items()}


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


def _evaluated(folder: Path, languages: Mapping[str, Scored]) -> Evaluated:
    """With what metrics.json says of how the task was scored; any of it may be missing."""
    metrics = read_metrics(folder)
    figures = metrics.get("languages", {})
    return Evaluated(
        languages,
        protocol=metrics.get("protocol"),
        labels=metrics.get("labels"),
        parallel=not figures or any("rankc" in figure for figure in figures.values()),
    )


# Comparing.


def _compare_task(task: str, codes: list[str], runs: Sides[Evaluated], seed: int) -> TaskComparison:
    _check_same_questions(task, runs)
    pairs = {
        code: shared_rows(f"{task}/{code}", *(run.languages[code] for run in runs))
        for code in codes
    }
    figures = Sides(
        task_metrics({code: pair.a for code, pair in pairs.items()}, parallel=runs.a.parallel),
        task_metrics({code: pair.b for code, pair in pairs.items()}, parallel=runs.b.parallel),
    )
    chances = {code: mcnemar(*(scored.correct for scored in pairs[code])) for code in codes}
    corrected = dict(zip(codes, holm(list(chances.values())), strict=True))
    others = {code: pair for code, pair in pairs.items() if code != "en"}
    return TaskComparison(
        protocol=runs.b.protocol if runs.a.protocol is None else runs.a.protocol,
        languages={
            code: _compare_language(
                code, pairs[code], figures, Sides(*(len(r.languages[code].rows) for r in runs)),
                (chances[code], corrected[code]), seed,
            )
            for code in codes
        },
        mean=compare_means(pairs, seed),
        mean_non_english=compare_means(others, seed) if others else None,
        worst=Sides(*(figure.worst for figure in figures)),
    )  # fmt: skip


def _check_same_questions(task: str, runs: Sides[Evaluated]) -> None:
    for meaning, (of_a, of_b) in (
        ("protocol", [run.protocol for run in runs]),
        ("label names", [run.labels for run in runs]),
    ):
        if None not in (of_a, of_b) and of_a != of_b:
            raise InputError(
                f"{task}: {meaning} {of_a} in A and {of_b} in B; expected the same in both"
            )


def shared_rows(where: str, a: Scored, b: Scored) -> Sides[Scored]:
    """The rows that both have, in the order of their numbers.

    Raises:
      InputError: there are none, or they have other options or labels; begins with `where`.
    """
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
    return Sides(one, two)


def _compare_language(
    code: str, pair: Sides[Scored], figures: Sides[TaskMetrics], sizes: Sides[int],
    chances: tuple[float, float], seed: int,
) -> LanguageComparison:  # fmt: skip
    """One language; `sizes` are the rows of each run, `chances` p of McNemar's test and Holm's of that."""
    one, two = (figure.languages[code] for figure in figures)
    gaps = [f.gap_to_english[code] for f in figures if code in f.gap_to_english]
    change = paired_bootstrap(pair.a.correct, pair.b.correct, seed=seed)
    test, corrected = chances
    return LanguageComparison(
        rows=one.rows,
        accuracy=Sides(one.accuracy, two.accuracy),
        f1=Sides(one.f1, two.f1),
        accuracy_interval=Sides(one.interval, two.interval),
        difference=change.difference,
        interval=(change.low, change.high),
        p=PValues(change.p, test, corrected),
        gap_to_english=Sides(*gaps) if gaps else None,
        rankc=Sides(one.rankc, two.rankc) if one.rankc and two.rankc else None,
        rows_a=sizes.a,
        rows_b=sizes.b,
        significant=corrected <= ALPHA,
        probability=_compare_probability({code: pair}, seed),
    )


def compare_means(pairs: Mapping[str, Sides[Scored]], seed: int) -> MeanComparison:
    """Means over languages. A row of the bootstrap is a row in all the languages that have it.

    The translations of a row are right or wrong together, and drawn one by one they would pass for
    more evidence than they are. Where rows of equal number have nothing in common this does no harm.
    """
    accuracy, drawn = _compare_mean(pairs, lambda scored: scored.correct, seed)
    return MeanComparison(
        accuracy=accuracy,
        difference=drawn.difference,
        interval=(drawn.low, drawn.high),
        p=PValues(drawn.p),
        probability=_compare_probability(pairs, seed),
    )


def _compare_probability(pairs: Mapping[str, Sides[Scored]], seed: int) -> ProbabilityComparison:
    """Of a language, or the mean over several."""
    mean, drawn = _compare_mean(pairs, lambda scored: scored.probability, seed)
    return ProbabilityComparison(
        mean=mean, difference=drawn.difference, interval=(drawn.low, drawn.high), p=drawn.p
    )


def _compare_mean(
    pairs: Mapping[str, Sides[Scored]], value: Callable[[Scored], np.ndarray], seed: int
) -> tuple[Sides[float], Difference]:
    """The mean over languages of what each row has, in both runs, and the bootstrap of its difference."""
    rows = np.unique(np.concatenate([pair.a.rows for pair in pairs.values()]))
    change = np.zeros(len(rows))  # of each row, so that their mean is the mean over languages
    values = [
        Sides(*(value(scored).astype(np.float64) for scored in pair)) for pair in pairs.values()
    ]
    for (one, _), of_pair in zip(pairs.values(), values, strict=True):
        changed = of_pair.b - of_pair.a
        change[np.searchsorted(rows, one.rows)] += changed / len(changed) * len(rows) / len(pairs)
    means = Sides(*(float(np.mean([getattr(v, side).mean() for v in values])) for side in "ab"))
    return means, paired_bootstrap(np.zeros(len(rows)), change, seed=seed)
