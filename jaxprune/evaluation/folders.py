"""The folders of an evaluation in its workdir: another one's are refused or go, and each appears when it is whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.evaluation.identity import Identity
from jaxprune.evaluation.metrics_json import METRICS
from jaxprune.evaluation.scoring import Scored
from jaxprune.files import sealed, write_json
from jaxprune.hf import Model
from jaxprune.ledger import MODEL_DIGEST, PROGRESS, difference, read_score_origin
from jaxprune.runs import OUTPUTS

# What others write in a workdir, which no task may be called like.
TAKEN = (*OUTPUTS, PROGRESS, "analysis", "compare")


def clear_folders(
    workdir: Path,
    asked: Mapping[str, Identity | None],
    model: Model,
    overwrite: bool = False,
) -> None:
    """Removes the scores of another evaluation, which would pass for this one's; scores of the same one stay.

    Args:
      asked: by folder what the model is asked; None where whatever was asked before may be replaced.
      model: that is evaluated.
      overwrite: also take away what another model said, or was asked otherwise.

    Raises:
      InputError: the scores of another model are there, or of other questions (names what differs), or files that
        this package did not write.
    """
    others = []
    for name, identity in asked.items():
        sealed.check_replaceable(workdir / name, overwrite=True, where="--workdir: ")
        file = workdir / name / METRICS
        written = _read(file, is_replaced=overwrite or identity is None)
        is_model = written.get(MODEL_DIGEST) in (None, model.source.fingerprint.digest)
        if not overwrite and not is_model:
            raise InputError(
                f"--workdir: {file} has the scores of another model; allowed: --overwrite (replaces them), "
                "or another folder"
            )
        differs = None if identity is None else difference(written.get("identity", {}), identity)
        if written and differs and not overwrite:
            raise InputError(
                f"--workdir: {file} has the scores of another evaluation, with {differs}; "
                "allowed: --overwrite (replaces them), or another folder"
            )
        if differs or identity is None or not is_model:
            others.append(name)
    for name in others:
        sealed.remove(workdir / name)
    workdir.mkdir(parents=True, exist_ok=True)


def _read(file: Path, *, is_replaced: bool) -> Mapping[str, Any]:
    """Model and identity in a metrics.json; empty for one that is broken and will be replaced."""
    folder = file.parent
    if (folder / sealed.TABLE).is_file() and METRICS not in sealed.table(folder):
        raise InputError(
            f"--workdir: {folder} holds no scores, and would be replaced by those of a task of this name; "
            "allowed: a task of another name, or another folder"
        )
    try:
        return read_score_origin(folder)
    except InputError as error:
        if is_replaced:
            return {}
        raise InputError(
            f"--workdir: {error}; allowed: --overwrite (replaces the scores), or another folder"
        ) from None


def write_folder(
    workdir: Path, name: str, metrics: Mapping[str, Any], scored: Mapping[str, Scored]
) -> None:
    """Writes `<workdir>/<name>`: metrics.json, and scores by language; on the first host only."""
    if not hosts.is_first():
        return
    with sealed.whole_folder(workdir / name) as folder:
        for code, arrays in scored.items():
            np.savez(folder / f"{code}.npz", **arrays._asdict())
        write_json(folder / METRICS, metrics)
