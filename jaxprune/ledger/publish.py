"""Finished outputs → their places in a workdir, where an older run's may be, and report.json last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxprune.errors import InputError
from jaxprune.files import sealed, write_json
from jaxprune.ledger.json_files import CONFIG, REPORT, content_digest
from jaxprune.ledger.progress import PROGRESS
from jaxprune.ledger.workdir import read_report


def check_workdir(workdir: Path, model: Path, outputs: Iterable[str]) -> None:
    """Refuses a workdir that is the model, holds it in an output, or holds files of others under the names of outputs.

    Args:
      outputs: names of the folders that a run may fill.

    Raises:
      InputError: names what is there.
    """
    if model.resolve() == workdir.resolve():
        raise InputError(f"--workdir: {workdir} is the model itself; allowed: another folder")
    folders = [workdir / name for name in outputs]
    if any(model.resolve().is_relative_to(folder.resolve()) for folder in folders):
        raise InputError(
            f"--workdir: {workdir} holds the model itself, {model}, and what is there is replaced; "
            "allowed: another folder"
        )
    for folder in folders:
        sealed.check_replaceable(folder, overwrite=True, where="--workdir: ")
    config = workdir / CONFIG
    if config.exists() and not _is_of_a_run(config):
        if not (workdir / REPORT).exists() and any((f / sealed.TABLE).exists() for f in folders):
            raise InputError(
                f"--workdir: {workdir} holds the outputs of a run without its {REPORT}; allowed: to put it back, to "
                f"move {config} away (a new run replaces the outputs), or another folder"
            )
        raise InputError(
            f"--workdir: {config} is there, which jaxprune did not write; allowed: to move it away, or another folder"
        )


def _is_of_a_run(config: Path) -> bool:
    """Whether a config.json is named by a report, or equals the one that a killed `publish` left in progress/.

    Raises:
      InputError: a report is broken, so nobody can say whose config.json it is; the message says what to do.
    """
    facts, workdir = sealed.file_facts(config), config.parent
    for folder in (workdir, workdir / PROGRESS):
        try:
            report = read_report(folder) or {}
        except InputError as error:
            raise InputError(
                f"--workdir: {error}; allowed: to move it and {config} away, or another folder"
            ) from None
        if tuple(report.get("files", {}).get(CONFIG, ())) == facts:
            return True
    begun = workdir / PROGRESS / CONFIG
    return begun.is_file() and sealed.file_facts(begun) == facts


def publish(
    unfinished: Path,
    workdir: Path,
    outputs: Iterable[str],
    config: Mapping[str, Any],
    report: Mapping[str, Any],
) -> dict[str, Any]:
    """Puts the outputs of a finished run in the place of an older one's, and report.json last.

    A process may be killed at any line. So for any config.json that is there, a file in `unfinished` shows that it is
    ours: the older run's report, then the new config; see `check_workdir`.

    Args:
      unfinished: the folder that holds the outputs, each sealed.
      outputs: names of the folders that a run may fill; those of an older run are removed.

    Returns:
      The content of report.json: `report`, with the digests of all files.
    """
    if (workdir / REPORT).exists():
        (workdir / REPORT).replace(unfinished / REPORT)
    (workdir / CONFIG).unlink(missing_ok=True)
    write_json(unfinished / CONFIG, config)
    tables = []
    for name in outputs:
        sealed.remove(workdir / name)
        if (unfinished / name).is_dir():
            (unfinished / name).rename(workdir / name)
            tables.append(f"{name}/{sealed.TABLE}")
    write_json(workdir / CONFIG, config)
    files = {name: [*sealed.file_facts(workdir / name)] for name in (CONFIG, *tables)}
    whole = {**report, "files": files}
    whole["sha256"] = content_digest(whole)
    write_json(workdir / REPORT, whole)
    return whole
