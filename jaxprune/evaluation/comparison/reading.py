"""A workdir → what of its evaluation is compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison.compare_json import Evaluated, EvaluatedRun
from jaxprune.evaluation.comparison.texts import perplexities
from jaxprune.evaluation.metrics_json import read_metrics
from jaxprune.evaluation.scoring import Scored, check_scores
from jaxprune.files import read_npz
from jaxprune.ledger import check_scored_model


def open_run(folder: Path) -> EvaluatedRun:
    """The evaluation in a workdir.

    A file of scores without `rows` has them numbered from 0. Files that hold neither scores nor labels are of another
    kind and passed over.

    Raises:
      InputError: no such folder, or a broken file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the --workdir of an evaluated run")
    check_scored_model(folder)
    tasks: dict[str, dict[str, Scored]] = {}
    for file in sorted(folder.glob("*/*.npz")):
        scored = _read_scores(file)
        if scored is not None:
            tasks.setdefault(file.parent.name, {})[file.stem] = scored
    return EvaluatedRun(
        name=str(folder),
        tasks={task: _evaluated(folder / task, languages) for task, languages in tasks.items()},
        perplexity=perplexities(folder),
        folder=folder,
    )


def _read_scores(file: Path) -> Scored | None:
    arrays = read_npz(file)
    missing = {"scores", "labels"} - arrays.keys()
    if len(missing) == 2:
        return None
    if missing:
        raise InputError(f"{file}: no {missing.pop()}; expected scores, labels and rows")
    rows = arrays.get("rows", np.arange(np.size(arrays["labels"])))
    scored = Scored(arrays["scores"], arrays["labels"], rows, arrays.get("groups"))
    check_scores(scored, str(file))
    return scored


def _evaluated(folder: Path, languages: Mapping[str, Scored]) -> Evaluated:
    """Scores, and from metrics.json how the task was scored; any of that may be missing."""
    metrics = read_metrics(folder)
    figures = metrics.get("languages", {})
    return Evaluated(
        languages,
        protocol=metrics.get("protocol"),
        labels=metrics.get("labels"),
        parallel=not figures or any("rankc" in figure for figure in figures.values()),
    )
