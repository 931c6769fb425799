"""The folders of an evaluation in its workdir: another one's are refused or go, and each appears when it is whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.evaluation.identity import Identity
from jaxprune.evaluation.scoring import Scored
from jaxprune.files import sealed, write_json
from jaxprune.hf import Model
from jaxprune.runs import difference, read_scored


def clear_folders(
    workdir: Path,
    asked: Mapping[str, Identity | None],
    model: Model,
    overwrite: bool = False,
) -> None:
    """Takes away what another evaluation left, which would pass for this one's; scores of the same one stay.

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
        file = workdir / name / "metrics.json"
        there = read_scored(file.parent)
        is_model = there.get("model_sha256") in (None, model.source.fingerprint.digest)
        if not overwrite and not is_model:
            raise InputError(
                f"--workdir: {file} has the scores of another model; allowed: --overwrite (replaces them), "
                "or another folder"
            )
        differs = None if identity is None else difference(there.get("identity", {}), identity)
        if there and differs and not overwrite:
            raise InputError(
                f"--workdir: {file} has the scores of another evaluation, with {differs}; "
                "allowed: --overwrite (replaces them), or another folder"
            )
        if differs or identity is None or not is_model:
            others.append(name)
    for name in others:
        sealed.remove(workdir / name)
    workdir.mkdir(parents=True, exist_ok=True)


def write_folder(
    workdir: Path, name: str, metrics: Mapping[str, Any], scored: Mapping[str, Scored]
) -> None:
    """Writes `<workdir>/<name>`: metrics.json, and scores by language; on the first host only."""
    if not hosts.is_first():
        return
    with sealed.whole_folder(workdir / name) as folder:
        for code, arrays in scored.items():
            np.savez(folder / f"{code}.npz", **arrays._asdict())
        write_json(folder / "metrics.json", metrics)
