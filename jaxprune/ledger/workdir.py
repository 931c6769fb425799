"""A workdir → whether its run is complete, the model of its scores, and its damaged files.

report.json is written last and has the digests of config.json, of each folder's table of files, and of itself. So a
workdir that contains it is complete, and every changed file can be named.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from flax.traverse_util import flatten_dict

from jaxprune.errors import InputError
from jaxprune.files import read_as, read_json, sealed
from jaxprune.hf import combined
from jaxprune.ledger.identity import difference
from jaxprune.ledger.json_files import (
    CONFIG,
    REPORT,
    Report,
    RunConfig,
    ScoreOrigin,
    content_digest,
)

_CHANGED = "changed since it was written"
# The key of a metrics.json with the digest of the model that was scored.
MODEL_DIGEST: Final = "model_sha256"


def read_report(workdir: Path) -> Report | None:
    """The content of report.json; None if there is no file, or an empty object.

    Raises:
      InputError: a value does not fit; names it.
    """
    report = read_as(Report, workdir / REPORT) or None
    if report is not None:
        sealed.check_names(report.get("files", {}), workdir / REPORT)
    return report


def read_score_origin(folder: Path) -> ScoreOrigin:
    """Model and data of the scores in a folder, from its metrics.json; empty without that file.

    Raises:
      InputError: the file is broken.
    """
    return read_as(ScoreOrigin, folder / "metrics.json") or {}


def complete_run(
    workdir: Path, identity: Mapping[str, Any], config: Mapping[str, Any]
) -> Report | None:
    """The report of the complete run of this identity; None without a complete run.

    Args:
      config: the content of config.json, whose fields explain another model or calibration set.

    Raises:
      InputError: the complete run has another identity; its report was changed; a file is missing or has another size.
    """
    report = read_report(workdir)
    if report is None:
        return None
    if differs := difference(report.get("identity", {}), identity):
        if differs.startswith(("calibration ", "file ")):  # digests
            group = "model" if differs.startswith("file ") else "calibration."
            fields = (_fields(one, group) for one in (read_json(workdir / CONFIG), config))
            differs = difference(*fields) or differs
        raise InputError(
            f"--workdir: {workdir} contains a complete run with {differs}; "
            "allowed: --overwrite (replaces it), or another folder"
        )
    if wrong := next(file_faults(workdir, report, by_size=True), None):
        raise InputError(f"--workdir: {workdir}: {wrong}; allowed: --overwrite (replaces the run)")
    return report


def _fields(config: Mapping[str, Any], start: str) -> dict[str, Any]:
    flat = flatten_dict(dict(config), sep=".")
    return {path: value for path, value in flat.items() if path.startswith(start)}


def is_complete(workdir: Path) -> bool:
    """Whether a run is complete and all its files match their digests.

    Raises:
      InputError: report.json is broken.
    """
    report = read_report(workdir)
    return report is not None and not any(file_faults(workdir, report))


def has_card(workdir: Path, config: RunConfig, report: Report) -> bool:
    """Whether a run wrote a model card and its hf/ still exists."""
    table = f"hf/{sealed.TABLE}"
    is_set = config.get("output", {}).get("card", False) or "shrunk" in report
    return is_set and table in report.get("files", {}) and (workdir / table).is_file()


def file_faults(workdir: Path, report: Report, *, by_size: bool = False) -> Iterator[str]:
    """A line for each file of a complete run that is missing, damaged or not from this package.

    Args:
      by_size: read only the tables of files, and compare the sizes of all others.
    """
    if report.get("sha256") != content_digest(report):
        yield f"{REPORT}: {_CHANGED}"
    for name, (size, sha256) in report.get("files", {}).items():
        path = workdir / name
        if wrong := sealed.fault(path, (size, sha256)):
            yield f"{name}: {wrong}"
        elif path.name == sealed.TABLE:
            faults = sealed.faults(path.parent, by_size=by_size)
            yield from (f"{path.parent.name}: {fault}" for fault in faults)
    with contextlib.suppress(InputError):  # of a changed file, which is listed already
        has = has_card(workdir, read_as(RunConfig, workdir / CONFIG) or {}, report)
        hf = workdir / "hf"
        if has and not (hf / sealed.CARD).is_file() and sealed.CARD not in sealed.table(hf):
            yield f"hf: {sealed.CARD}: missing"


def check_scored_model(workdir: Path) -> None:
    """Rejects a workdir whose scores are of another model than its pruned one, or were changed.

    Raises:
      InputError: names the scores; or report.json is broken, or it or config.json was changed after the run.
    """
    report = read_report(workdir) or {}
    _check_unchanged(workdir, report)
    files = sorted(workdir.glob("*/metrics.json"))
    for file in files:
        sealed.check_whole(file.parent)
    pruned = pruned_digest(report)
    if pruned is None and "shrunk" not in report:
        return
    known = (report["models"].get("hf"), pruned)
    for file in files:
        scored = read_score_origin(file.parent).get(MODEL_DIGEST)
        if scored is not None and scored not in known:
            raise InputError(
                f"{file}: scores of another model (SHA-256 {scored[:12]}…) than the one in {workdir / REPORT}; "
                "allowed: to evaluate the pruned model again, or the other one in its own folder"
            )


def _check_unchanged(workdir: Path, report: Report) -> None:
    config, facts = workdir / CONFIG, report.get("files", {}).get(CONFIG)
    if report.get("sha256") not in (None, content_digest(report)):
        raise InputError(f"{workdir / REPORT}: {_CHANGED}; expected it as the run wrote it")
    if facts is not None and config.exists() and sealed.fault(config, (facts[0], facts[1])):
        raise InputError(f"{config}: {sealed.DAMAGED}")


def pruned_digest(report: Report) -> str | None:
    """The digest of the dense model, masks and changed weights; None if the report lacks any of their digests."""
    models, digests = report.get("models"), report.get("digests")
    if models is None or digests is None:
        return None
    changed = {"changed": digests["changed"]} if "changed" in digests else {}
    return combined({"model": models["dense"], "masks": digests["masks"], **changed})
