"""The folders of an evaluation in its workdir: what an earlier one left goes, and each appears when it is whole."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.evaluation.scoring import Scored
from jaxprune.files import UNFINISHED, whole_folder, write_json


def clear_folders(workdir: Path, names: Sequence[str]) -> None:
    """Takes away what an earlier evaluation of these tasks left, which would pass for this one's."""
    for name in names:
        folder = workdir / name
        other_files = [file for file in folder.glob("*") if not _is_ours(file)]
        if other_files or folder.is_file():
            raise InputError(
                f"--workdir: {other_files[0] if other_files else folder} is there, and the folder {folder} is "
                "replaced; allowed: another --workdir, or another name for the task"
            )
    for name in names:
        shutil.rmtree(workdir / name, ignore_errors=True)
    shutil.rmtree(workdir / UNFINISHED, ignore_errors=True)
    workdir.mkdir(parents=True, exist_ok=True)


def _is_ours(file: Path) -> bool:
    return file.is_file() and (file.suffix in (".npz", ".jsonl") or file.name == "metrics.json")


def write_folder(
    workdir: Path, name: str, metrics: Mapping[str, Any], scored: Mapping[str, Scored]
) -> None:
    """Writes `<workdir>/<name>`: metrics.json, and scores by language; on the first host only."""
    if not hosts.is_first():
        return
    with whole_folder(workdir / name) as folder:
        for code, arrays in scored.items():
            np.savez(folder / f"{code}.npz", **arrays._asdict())
        write_json(folder / "metrics.json", metrics)
