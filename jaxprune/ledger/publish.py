"""Finished outputs → their final names in a workdir, in place of those of an older run; report.json last."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxprune.errors import InputError
from jaxprune.files import sealed, write_json
from jaxprune.ledger.json_files import CONFIG, REPORT, content_digest
from jaxprune.ledger.progress import PROGRESS
from jaxprune.ledger.workdir import read_report


def check_workdir(workdir: Path, model: Path, outputs: Iterable[str]) -> None:
    """Rejects a workdir that is the model, contains it in an output, or has other files under the names of outputs.

    Args:
      outputs: names of the folders that a run may fill.

    Raises:
      InputError: names the file or folder.
    """
    if model.resolve() == workdir.resolve():
        raise InputError(f"--workdir: {workdir} is the model itself; allowed: another folder")
    folders = [workdir / name for name in outputs]
    if any(model.resolve().is_relative_to(folder.resolve()) for folder in folders):
        raise InputError(
            f"--workdir: {workdir} contains the model itself, {model}, which the run would replace; "
            "allowed: another folder"
        )
    for folder in folders:
        sealed.check_replaceable(folder, overwrite=True, where="--workdir: ")
    config = workdir / CONFIG
    if config.exists() and not _is_of_a_run(config):
        if not (workdir / REPORT).exists() and any((f / sealed.TABLE).exists() for f in folders):
            raise InputError(
                f"--workdir: {workdir} contains the outputs of a run without its {REPORT}; allowed: to restore it, to "
                f"move {config} away (a new run replaces the outputs), or another folder"
            )
        raise InputError(
            f"--workdir: {config} exists and was not written by jaxprune; allowed: to move it away, or another folder"
        )


def _is_of_a_run(config: Path) -> bool:
    """Whether a config.json is listed in a report, or equals the one that a killed `publish` left in progress/.

    Raises:
      InputError: a report is broken, so the owner of config.json is unknown.
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
    """Replaces the outputs of an older run by those of a finished one; writes report.json last.

    A process may be killed at any line. So at any time a file in `unfinished` shows that config.json is ours: the older
    run's report, then the new config; see `check_workdir`.

    Args:
      unfinished: the folder with the outputs, each sealed.
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
