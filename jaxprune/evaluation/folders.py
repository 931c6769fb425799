"""The folders of an evaluation in its workdir: what an earlier one left goes, and each appears when it is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.evaluation.scoring import Scored
from jaxprune.files import sealed, write_json
from jaxprune.hf import Model
from jaxprune.runs import scored_digest


def clear_folders(
    workdir: Path, names: Sequence[str], model: Model, overwrite: bool = False
) -> None:
    """Takes away what an earlier evaluation of the same tasks and model left, which would pass for this one's.

    Args:
      names: of tasks.
      model: that is evaluated.
      overwrite: also where it was another model that was evaluated.

    Raises:
      InputError: the scores of another model are there, or files that this package did not write.
    """
    for name in names:
        sealed.check_replaceable(workdir / name, overwrite=True, where="--workdir: ")
        file = workdir / name / "metrics.json"
        scored = scored_digest(file.parent)
        if not overwrite and scored not in (None, model.source.fingerprint.digest):
            raise InputError(
                f"--workdir: {file} has the scores of another model; allowed: --overwrite (replaces them), "
                "or another folder"
            )
    for name in names:
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
