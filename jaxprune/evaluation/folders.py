"""The folders of an evaluation: those of another one are rejected or removed; each appears when it is complete."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.evaluation.identity import IDENTITY, Identity
from jaxprune.evaluation.metrics_json import METRICS
from jaxprune.evaluation.scoring import Scored
from jaxprune.files import sealed, write_json
from jaxprune.hf import Model
from jaxprune.ledger import (
    MODEL_DIGEST,
    Report,
    ScoreOrigin,
    difference,
    pruned_digest,
    read_report,
    read_score_origin,
)


def clear_folders(
    workdir: Path, wanted: Mapping[str, Identity | None], model: Model, overwrite: bool
) -> None:
    """Removes the scores of another evaluation; those of the same one stay.

    Args:
      workdir: of the evaluation.
      wanted: identities by folder; None matches no scores.
      model: the model to evaluate.
      overwrite: remove the scores of another model, of other questions or settings; by default they are rejected.

    Raises:
      InputError: a folder has the scores of another model or of other questions (names the difference), or files
        that this package did not write.
    """
    digest, report = model.source.fingerprint.digest, Report()
    with contextlib.suppress(InputError):  # another program's report.json
        report = read_report(workdir) or report
    if report and digest not in (report.get("models", {}).get("hf"), pruned_digest(report)):
        raise InputError(
            f"--workdir: {workdir} is the workdir of another model; allowed: {workdir / 'hf'} as the model, or another "
            "folder"
        )
    others = []
    for name, identity in wanted.items():
        sealed.check_replaceable(workdir / name, overwrite=True, where="--workdir: ")
        written = _score_origin(workdir / name)
        is_model = written.get(MODEL_DIGEST) in (None, digest)
        differs = identity is None or difference(written.get(IDENTITY, {}), identity)
        if is_model and not differs:
            continue
        if written and not overwrite:
            other = f"another evaluation, with {differs}" if is_model else "another model"
            raise InputError(
                f"--workdir: {workdir / name / METRICS} has the scores of {other}; "
                "allowed: --overwrite (replaces them), or another folder"
            )
        others.append(name)
    for name in others:
        sealed.remove(workdir / name)
    workdir.mkdir(parents=True, exist_ok=True)


def _score_origin(folder: Path) -> ScoreOrigin:
    """Model and identity of the scores in a folder; rejects a folder of something else."""
    if (folder / sealed.TABLE).is_file() and METRICS not in sealed.table(folder):
        raise InputError(
            f"--workdir: {folder} contains no scores, and would be replaced by those of a task of this name; "
            "allowed: a task of another name, or another folder"
        )
    return read_score_origin(folder)


def write_folder(
    workdir: Path | None, name: str, metrics: Mapping[str, Any], scored: Mapping[str, Scored]
) -> None:
    """Writes `<workdir>/<name>`: metrics.json, and scores by language; on the first host only."""
    if workdir is None or not hosts.is_first():
        return
    with sealed.whole_folder(workdir / name) as folder:
        for code, of_language in scored.items():
            np.savez(folder / f"{code}.npz", **of_language.arrays)
        write_json(folder / METRICS, metrics)
