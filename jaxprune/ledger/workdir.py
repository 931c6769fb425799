"""A run's workdir: is it complete, may it be replaced, and how a new run takes the place of an old one.

report.json comes last and holds the rest together: digests of config.json, of each folder's table of files, and of
itself. So a workdir with one is complete, and what is not as it was written can be named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from jaxprune.errors import InputError
from jaxprune.files import read_as, sealed, write_json
from jaxprune.hf import combined, exported_digest
from jaxprune.ledger.identity import difference
from jaxprune.ledger.workdir_json import MetricsIdentity, Report, digest_of_rest

# Where an unfinished run fills its outputs.
FOLDER = "progress"
# Files that say whose config.json a workdir has while a run takes the place of another: they stay until it is there.
PUBLISHED = ("report.json", "config.json")
REPORT, CONFIG = PUBLISHED
# Folders of a workdir. They are filled in `progress` and put in their places when all of them are whole.
OUTPUTS = ("checkpoint", "stats", "hf", "figures")
_CHANGED = "changed since it was written"
# The key of a metrics.json with the digest of the model that was scored.
MODEL_DIGEST: Final = "model_sha256"


def read_report(workdir: Path) -> Report | None:
    """What report.json says; None where there is none, or nothing in it.

    Raises:
      InputError: a value of it is not what it should be; names it.
    """
    report = read_as(Report, workdir / REPORT) or None
    if report is not None:
        sealed.check_names(report.get("files", {}), workdir / REPORT)
    return report


def read_scored(folder: Path) -> MetricsIdentity:
    """What the metrics.json in a folder of scores tells of the model and of what it was asked; empty where none is.

    Raises:
      InputError: the file is broken.
    """
    return read_as(MetricsIdentity, folder / "metrics.json") or {}


def complete_run(workdir: Path, identity: Mapping[str, Any]) -> Report | None:
    """What report.json says, where a run of this identity is complete; None where none is.

    Raises:
      InputError: a run of another identity is; the report was changed, or a file is missing or of another size.
    """
    report = read_report(workdir)
    if report is None:
        return None
    if differs := difference(report.get("identity", {}), identity):
        raise InputError(
            f"--workdir: {workdir} holds a complete run with {differs}; "
            "allowed: --overwrite (replaces it), or another folder"
        )
    if wrong := next(file_faults(workdir, report, by_size=True), None):
        raise InputError(f"--workdir: {workdir}: {wrong}; allowed: --overwrite (replaces the run)")
    return report


def is_complete(workdir: Path) -> bool:
    """Whether a run is complete and all its files are as they were written, by their digests.

    Raises:
      InputError: report.json is broken.
    """
    report = read_report(workdir)
    return report is not None and not any(file_faults(workdir, report))


def check_workdir(workdir: Path, model: Path) -> None:
    """Refuses a workdir that is, or in whose outputs lies, the model, or that holds files under their names.

    Raises:
      InputError: names what is there.
    """
    if model.resolve() == workdir.resolve():
        raise InputError(f"--workdir: {workdir} is the model itself; allowed: another folder")
    outputs = [workdir / name for name in OUTPUTS]
    if any(model.resolve().is_relative_to(folder.resolve()) for folder in outputs):
        raise InputError(
            f"--workdir: {workdir} holds the model itself, {model}, and what is there is replaced; "
            "allowed: another folder"
        )
    for folder in outputs:
        sealed.check_replaceable(folder, overwrite=True, where="--workdir: ")
    config = workdir / CONFIG
    if config.exists() and not _is_ours(config):
        raise InputError(
            f"--workdir: {config} is there, which jaxprune did not write; allowed: to move it away, "
            "or another folder"
        )


def _is_ours(config: Path) -> bool:
    """Whether a report tells of this config.json: that of the run, or one that a killed `publish` left in progress/.

    Raises:
      InputError: a report is broken; says what to do, as nobody can tell then whose config.json it is.
    """
    facts, workdir = [*sealed.file_facts(config)], config.parent
    for folder in (workdir, workdir / FOLDER):
        try:
            report = read_report(folder) or {}
        except InputError as error:
            raise InputError(
                f"--workdir: {error}; allowed: to move it and {config} away, or another folder"
            ) from None
        told = report.get("files", {}).get(CONFIG)
        if told is not None and [*told] == facts:
            return True
    begun = workdir / FOLDER / CONFIG
    return begun.is_file() and [*sealed.file_facts(begun)] == facts


def publish(
    unfinished: Path, workdir: Path, config: Mapping[str, Any], report: Mapping[str, Any]
) -> dict[str, Any]:
    """Puts the outputs of a run that is whole in the place of an older one's, and report.json last.

    A process may be killed at any line of it. So whatever config.json is there, a file in `unfinished` says that it
    is ours: the older run's report, then the new config; see `_is_ours`.

    Returns:
      What report.json holds: `report`, with the digests of all files.
    """
    if (workdir / REPORT).exists():
        (workdir / REPORT).replace(unfinished / REPORT)
    (workdir / CONFIG).unlink(missing_ok=True)
    write_json(unfinished / CONFIG, config)
    for name in OUTPUTS:
        sealed.remove(workdir / name)
        if (unfinished / name).is_dir():
            (unfinished / name).rename(workdir / name)
    write_json(workdir / CONFIG, config)
    tables = (f"{name}/{sealed.TABLE}" for name in OUTPUTS if (workdir / name).is_dir())
    files = {name: [*sealed.file_facts(workdir / name)] for name in (CONFIG, *tables)}
    hf = workdir / "hf"
    exported = {"hf": exported_digest(sealed.table(hf))} if hf.is_dir() else {}
    whole = {**report, "models": {**report["models"], **exported}, "files": files}
    whole["sha256"] = digest_of_rest(whole)
    write_json(workdir / REPORT, whole)
    return whole


def check_scored_model(workdir: Path) -> None:
    """Refuses a workdir whose scores are of another model than the one that was pruned into it, or not as written.

    Raises:
      InputError: names the scores. Or report.json is broken, or it or config.json was changed since a run wrote them.
    """
    report = read_report(workdir) or {}
    _check_written(workdir, report)
    for file in sorted(workdir.glob("*/metrics.json")):
        sealed.check_whole(file.parent)
    masked = masked_digest(report)
    if masked is None:
        return
    known = (report["models"].get("hf"), masked)
    for file in sorted(workdir.glob("*/metrics.json")):
        scored = read_scored(file.parent).get(MODEL_DIGEST)
        if scored is not None and scored not in known:
            raise InputError(
                f"{file}: scores of another model (SHA-256 {scored[:12]}…) than the one that {workdir / REPORT} "
                "tells of; allowed: to evaluate the pruned model again, or the other one in a folder of its own"
            )


def masked_digest(report: Report) -> str | None:
    """The digest that the dense model has under the masks of a run; None where its report tells too little."""
    models, digests = report.get("models"), report.get("digests")
    if models is None or digests is None:
        return None
    return combined({"model": models["dense"], "masks": digests["masks"]})


def _check_written(workdir: Path, report: Report) -> None:
    config, facts = workdir / CONFIG, report.get("files", {}).get(CONFIG)
    if "sha256" in report and report["sha256"] != digest_of_rest(report):
        raise InputError(f"{workdir / REPORT}: {_CHANGED}; expected it as the run wrote it")
    if facts is not None and config.exists() and sealed.fault(config, (facts[0], facts[1])):
        raise InputError(f"{config}: {sealed.DAMAGED}")


def file_faults(workdir: Path, report: Report, *, by_size: bool = False) -> Iterator[str]:
    """What of a complete run's files is missing, damaged or not its own, a line each.

    Args:
      by_size: read no more than the tables of files; of the others sizes are compared.
    """
    if report.get("sha256") != digest_of_rest(report):
        yield f"{REPORT}: {_CHANGED}"
    for name, (size, sha256) in report.get("files", {}).items():
        path = workdir / name
        if wrong := sealed.fault(path, (size, sha256)):
            yield f"{name}: {wrong}"
        elif path.name == sealed.TABLE:
            faults = sealed.faults(path.parent, by_size=by_size)
            yield from (f"{path.parent.name}: {fault}" for fault in faults)
