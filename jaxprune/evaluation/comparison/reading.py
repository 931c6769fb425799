"""A workdir → its evaluation, for comparisons."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison.evaluated import Evaluated, EvaluatedRun
from jaxprune.evaluation.comparison.texts import perplexities
from jaxprune.evaluation.metrics_json import METRICS, read_metrics
from jaxprune.evaluation.scoring import Scored, check_scores
from jaxprune.files import read_npz
from jaxprune.ledger import check_scored_model, read_score_origin


def open_run(folder: Path) -> EvaluatedRun:
    """The evaluation in a workdir.

    The rows of a file without `rows` are numbered from 0. Files with neither scores nor labels are ignored.

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
    folders = [file.parent for file in folder.glob(f"*/{METRICS}")]
    return EvaluatedRun(
        name=str(folder),
        identities={one.name: read_score_origin(one).get("identity", {}) for one in folders},
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
    rows = {"rows": np.arange(np.size(arrays["labels"]))}
    scored = Scored(**rows | {name: arrays[name] for name in Scored._fields if name in arrays})
    check_scores(scored, str(file))
    return scored


def _evaluated(folder: Path, languages: Mapping[str, Scored]) -> Evaluated:
    """Scores, and the settings in metrics.json, each of which may be missing."""
    metrics = read_metrics(folder)
    figures = metrics.get("languages", {})
    return Evaluated(
        languages,
        protocol=metrics.get("protocol"),
        labels=metrics.get("labels"),
        parallel=not figures or any("rankc" in figure for figure in figures.values()),
    )
