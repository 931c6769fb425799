"""Two evaluated runs → the change in each language and its significance."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np

from jaxprune.errors import InputError, listed
from jaxprune.evaluation.comparison.compare_json import (
    Comparison,
    ComparisonMethod,
    ContrastComparison,
    LanguageComparison,
    LeftOut,
    MeanComparison,
    MeanDifference,
    PValues,
    Sides,
    TaskComparison,
)
from jaxprune.evaluation.comparison.masks import compare_masks
from jaxprune.evaluation.comparison.reading import Evaluated, EvaluatedRun, open_run
from jaxprune.evaluation.comparison.same_evaluation import (
    check_equal,
    differing_dtypes,
    have_other_tokenizers,
)
from jaxprune.evaluation.comparison.texts import (
    compare_perplexities,
    compare_translations,
    order,
)
from jaxprune.evaluation.scoring import (
    ALPHA,
    CONFIDENCE,
    MEASURES,
    PERPLEXITY,
    RESAMPLES,
    Scored,
    cluster_values,
    holm,
    mcnemar,
    paired_bootstrap,
    task_metrics,
    within_groups,
)
from jaxprune.evaluation.translation import TRANSLATION


def compare_runs(run_a: Path, run_b: Path) -> Comparison:
    """Compares two workdirs; see `comparison_of`.

    Args:
      run_a, run_b: folders with `<task>/<language>.npz`, `perplexity/`, `translation/` and, for masks,
        `checkpoint/`.

    Raises:
      InputError: a run without evaluation; nothing in common; a file that is broken or of other data.
    """
    return comparison_of(Sides(open_run(run_a), open_run(run_b)))


def comparison_of(runs: Sides[EvaluatedRun], seed: int = 0) -> Comparison:
    """Compares two runs on the rows that both have.

    Rows are paired by number. The figures of both runs are of the shared rows. A change is significant if McNemar's
    exact p, after Holm's correction over the languages of a task, is at most ALPHA.

    Raises:
      InputError: a run without evaluation; nothing in common; an evaluation whose inputs differ.
    """
    tasks = Sides(*(run.tasks for run in runs))
    shared = {
        task: sorted(tasks.a[task].languages.keys() & tasks.b[task].languages.keys(), key=order)
        for task in sorted(tasks.a.keys() & tasks.b.keys())
    }
    left_out, is_other = _left_out(runs), have_other_tokenizers(runs)
    if runs.a.folder and runs.b.folder:
        overlap, note = compare_masks(runs.a.folder, runs.b.folder)
        codes = sorted(runs.a.translated & runs.b.translated, key=order)
        translation, translation_note = compare_translations(runs.a.folder, runs.b.folder, codes)
    else:
        overlap, note = None, "a run is in memory only"
        translation, translation_note = None, None
    return Comparison(
        a=runs.a.name,
        b=runs.b.name,
        dtypes=differing_dtypes(runs),
        other_tokenizer=is_other or None,
        tasks={
            task: _compare_task(task, codes, Sides(tasks.a[task], tasks.b[task]), seed)
            for task, codes in shared.items()
            if codes
        },
        perplexity=compare_perplexities(runs.a.perplexity, runs.b.perplexity, is_other),
        translation=translation,
        translation_note=translation_note,
        left_out=left_out,
        masks=overlap,
        masks_note=note,
        method=comparison_method(seed),
    )


def comparison_method(seed: int = 0) -> ComparisonMethod:
    """The method of this version."""
    return ComparisonMethod(
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        seed=seed,
        alpha=ALPHA,
        significant="McNemar's exact test, of translations BLEU by sacrebleu's paired bootstrap; "
        "Holm's correction over the languages of a task",
    )


def _left_out(runs: Sides[EvaluatedRun]) -> LeftOut:
    """The evaluations that only one run has; rejects runs without any, or without any in common."""
    names = Sides(*(_names(run) for run in runs))
    for run, evaluated in zip(runs, names, strict=True):
        if not evaluated:
            raise InputError(
                f"{run.name}: not evaluated; expected <task>/<language>.npz, which jaxprune evaluate writes"
            )
    if not {*names.a} & {*names.b}:
        has = (f"{run.name} has {listed(n, ' ')}" for run, n in zip(runs, names, strict=True))
        raise InputError(f"no task and language in both runs: {'; '.join(has)}")
    return LeftOut(
        only_a=tuple(name for name in names.a if name not in names.b),
        only_b=tuple(name for name in names.b if name not in names.a),
    )


def _names(run: EvaluatedRun) -> list[str]:
    """The tasks and languages of a run, as "xnli/fr"."""
    by_part: dict[str, Collection[str]] = {
        **{task: run.tasks[task].languages for task in sorted(run.tasks)},
        PERPLEXITY: run.perplexity,
        TRANSLATION: run.translated,
    }
    return [
        f"{part}/{code}" for part, codes in by_part.items() for code in sorted(codes, key=order)
    ]


def _compare_task(task: str, codes: list[str], runs: Sides[Evaluated], seed: int) -> TaskComparison:
    ours, theirs = ({"protocol": run.protocol, "labels": run.labels} for run in runs)
    check_equal(task, ours, theirs, ours)
    pairs = {
        code: shared_rows(f"{task}/{code}", *(run.languages[code] for run in runs))
        for code in codes
    }
    figures = Sides(
        task_metrics({code: pair.a for code, pair in pairs.items()}, parallel=runs.a.parallel),
        task_metrics({code: pair.b for code, pair in pairs.items()}, parallel=runs.b.parallel),
    )
    tests = [mcnemar(pair.a.correct, pair.b.correct) for pair in pairs.values()]
    languages = {}
    for (code, pair), test, adjusted in zip(pairs.items(), tests, holm(tests), strict=True):
        a, b = (figure.languages[code] for figure in figures)
        gaps = [f.gap_to_english[code] for f in figures if code in f.gap_to_english]
        change = compare_means({code: pair}, seed)
        languages[code] = LanguageComparison(
            **{**vars(change), "p": PValues(change.p.bootstrap, test, adjusted)},
            rows=a.rows,
            f1=Sides(a.f1, b.f1),
            accuracy_interval=Sides(a.interval, b.interval),
            gap_to_english=Sides(*gaps) if gaps else None,
            rankc=Sides(a.rankc, b.rankc) if a.rankc and b.rankc else None,
            rows_a=len(runs.a.languages[code].rows),
            rows_b=len(runs.b.languages[code].rows),
            significant=adjusted <= ALPHA,
            chosen=Sides(a.chosen, b.chosen),
        )
    others = {code: pair for code, pair in pairs.items() if code != "en"}
    return TaskComparison(
        protocol=runs.b.protocol if runs.a.protocol is None else runs.a.protocol,
        languages=languages,
        mean=compare_means(pairs, seed),
        mean_non_english=compare_means(others, seed) if others else None,
        worst=Sides(*(figure.worst for figure in figures)),
    )


def shared_rows(where: str, a: Scored, b: Scored) -> Sides[Scored]:
    """The rows that both have, in the order of their numbers.

    Raises:
      InputError: no shared rows, or other options, labels or texts in them; begins with `where`.
    """
    shared, in_a, in_b = np.intersect1d(a.rows, b.rows, assume_unique=True, return_indices=True)
    if not shared.size:
        raise InputError(f"{where}: no row is in both runs; expected runs on the same rows")
    if a.scores.shape[1] != b.scores.shape[1]:
        raise InputError(
            f"{where}: {a.scores.shape[1]} scores a row in A and {b.scores.shape[1]} in B; "
            "expected the same options in both"
        )
    one, two = a.at(in_a), b.at(in_b)
    differ = np.flatnonzero(one.labels != two.labels)
    if differ.size:
        row = differ[0]
        raise InputError(
            f"{where}: row {shared[row]} has label {one.labels[row]} in A and {two.labels[row]} in "
            "B; expected runs on the same data"
        )
    if one.digests is not None and two.digests is not None:
        differ = np.flatnonzero(one.digests != two.digests)
        if differ.size:
            raise InputError(
                f"{where}: row {shared[differ[0]]} has other text in A than in B; expected runs on the same data"
            )
    return Sides(one, two)


def compare_means(pairs: Mapping[str, Sides[Scored]], seed: int) -> MeanComparison:
    """Means over one or more languages; the bootstrap draws a row, or a group of rows, in all of them at once.

    Translations of a row tend to be right or wrong together; independent draws would give too narrow intervals. For
    unrelated rows of equal number, joint draws are valid too.
    """
    accuracy = _compare_mean(_values(pairs, lambda scored: scored.correct), seed)
    measures = {one.name: _values(pairs, one.values) for one in MEASURES}
    contrasts = _values(pairs, lambda scored: within_groups(scored).contrast)
    return MeanComparison(
        accuracy=accuracy.mean,
        difference=accuracy.difference,
        interval=accuracy.interval,
        p=PValues(accuracy.p),
        contrast=_compare_contrast(contrasts, seed) if contrasts else None,
        **{name: _compare_mean(values, seed) for name, values in measures.items() if values},
    )


# By language: the cluster, and the values of A and B, of each row that has them.
_Values = list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def change_values(
    pairs: Mapping[str, Sides[Scored]], value: Callable[[Scored], np.ndarray]
) -> np.ndarray | None:
    """The change of a value from A to B in each group of rows, over one or more languages; see `cluster_values`.

    None if no row has the value in both.
    """
    found = _values(pairs, value)
    return _changes(found) if found else None


def _values(pairs: Mapping[str, Sides[Scored]], value: Callable[[Scored], np.ndarray]) -> _Values:
    found = []
    for pair in pairs.values():
        a, b = (value(scored).astype(np.float64) for scored in pair)
        if (known := ~np.isnan(a + b)).any():
            found.append((pair.a.clusters[known], a[known], b[known]))
    return found


def _changes(values: _Values) -> np.ndarray:
    return cluster_values([(clusters, b - a) for clusters, a, b in values])


def _compare_mean(values: _Values, seed: int) -> MeanDifference:
    """Means over languages of a value of each row, and the bootstrap of their difference."""
    change = _changes(values)
    means = ([side.mean() for side in sides] for sides in list(zip(*values, strict=True))[1:])
    mean = Sides(*(float(np.mean(of_side)) for of_side in means))
    return MeanDifference(mean=mean, **paired_bootstrap(change, seed=seed)._asdict())


def _compare_contrast(values: _Values, seed: int) -> ContrastComparison:
    """B's contrast over A's; the interval is of the ratio's first-order expansion."""
    a, b = (cluster_values([(one[0], one[side]) for one in values]) for side in (1, 2))
    mean = Sides(float(a.mean()), float(b.mean()))
    if paired_bootstrap(a, seed=seed).interval[0] <= 0:
        return ContrastComparison(mean)
    share = mean.b / mean.a
    low, high = paired_bootstrap(b / mean.a - a * share / mean.a, seed=seed).interval
    return ContrastComparison(mean, share, (share + low, share + high))
