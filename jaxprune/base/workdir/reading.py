"""A workdir → whether its run is complete, the model of its scores, and its damaged files.

report.json is written last and has the digests of config.json, of each folder's table of files, and of itself. So a
workdir that contains it is complete, and every changed file can be named.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from flax.traverse_util import flatten_dict

from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.files.digests import combined
from jaxprune.base.files.outside import read_json
from jaxprune.base.workdir.differences import difference, inputs
from jaxprune.base.workdir.json_files import CONFIG, EVALUATION, REPORT, Report, content_digest
from jaxprune.base.workdir.locks import PROGRESS

# The folders that a run may fill.
OUTPUTS = ("checkpoint", "stats", "hf")
GGUF = "model.gguf"  # the file that a quantization writes
OLDER = "older.json"  # in progress/: the report of the run that is being replaced
# The key of an evaluation.json with the digest of the model that was scored.
MODEL_DIGEST: Final = "model_sha256"


class ChangedReportError(InputError):
    """A report.json that was changed since it was written."""


def read_report(workdir: Path) -> Report | None:
    """The content of report.json; None if there is no file, or an empty object.

    Raises:
      ChangedReportError: the content is not what was written.
      InputError: not JSON; or the outputs of a run are being put in place.
    """
    if read_committed(workdir) is not None:
        raise InputError(
            f"{workdir}: the outputs of a finished run are not yet in place; repeat its command"
        )
    return read_unchanged(workdir / REPORT)


def read_committed(workdir: Path) -> Report | None:
    """The report of a finished run whose outputs are not yet in place; None without one."""
    return read_unchanged(workdir / PROGRESS / REPORT)


def read_unchanged(file: Path) -> Report | None:
    """The content of a report, whose digest must match; None if there is no file, or an empty object."""
    report = read_json(file)
    if report and report.get("sha256") != content_digest(report):
        raise ChangedReportError(
            f"{file}: changed since it was written; expected the file that jaxprune wrote"
        )
    return report or None


def read_config(workdir: Path, report: Report) -> dict[str, Any]:
    """The content of config.json; empty without it.

    Raises:
      InputError: it is not the file that the report lists.
    """
    file, listed = workdir / CONFIG, report.get("files", {}).get(CONFIG)
    if listed and (wrong := manifest.fault(file, tuple(listed))):
        raise InputError(f"{file}: {wrong}; restore it, or repeat the run in another folder")
    return read_json(file)


def check_workdir(workdir: Path, model: Path, outputs: Iterable[str] = OUTPUTS) -> None:
    """Rejects a workdir that is the model, contains it in an output, or has other files under the names of outputs.

    Args:
      outputs: names of the folders that the run may fill.

    Raises:
      InputError: names the file or folder.
    """
    if model.resolve() == workdir.resolve():
        raise InputError(f"--workdir: {workdir} is the model itself; expected another folder")
    folders = [workdir / name for name in outputs]
    if any(model.resolve().is_relative_to(folder.resolve()) for folder in folders):
        raise InputError(
            f"--workdir: {workdir} contains the model itself, {model}, which the run would replace; "
            "expected another folder"
        )
    for folder in folders:
        manifest.check_replaceable(folder, overwrite=True, where="--workdir: ")
    progress = workdir / PROGRESS
    try:
        reports = [
            read_unchanged(file) for file in (workdir / REPORT, progress / REPORT, progress / OLDER)
        ]
    except InputError as error:
        raise InputError(f"--workdir: {error}; move it away, or name another folder") from None
    for name in (CONFIG, GGUF):
        listed = [tuple((report or {}).get("files", {}).get(name, ())) for report in reports]
        file = workdir / name
        if file.exists() and manifest.file_facts(file) not in listed:
            raise InputError(
                f"--workdir: {file} is in no report.json of jaxprune; move it away, or name another folder"
            )


def complete_run(
    workdir: Path, identity: Mapping[str, Any], config: Mapping[str, Any]
) -> Report | None:
    """The report of the complete run of the same inputs; None without a complete run.

    Args:
      identity: record of the run; code and versions are not compared, see `inputs`.
      config: the content of config.json, whose fields explain another model or calibration set.

    Raises:
      InputError: the complete run has other inputs; a file is missing or has another size.
    """
    report = read_report(workdir)
    if report is None:
        return None
    if differs := difference(inputs(report.get("identity", {})), inputs(identity)):
        named = in_fields(differs, read_json(workdir / CONFIG), config)
        raise InputError(
            f"--workdir: {workdir} contains a complete run with {named}; "
            "expected --overwrite (replaces it), or another folder"
        )
    if wrong := next(file_faults(workdir, report), None):
        raise InputError(f"--workdir: {workdir}: {wrong}; expected --overwrite (replaces the run)")
    return report


def in_fields(differs: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """A difference of two identities, in fields of their configs where it is one of digests."""
    if not differs.startswith(("calibration ", "file ")):
        return differs
    group = "model" if differs.startswith("file ") else "calibration."
    return difference(_fields(before, group), _fields(now, group)) or differs


def _fields(config: Mapping[str, Any], start: str) -> dict[str, Any]:
    flat = flatten_dict(dict(config), sep=".")
    return {path: value for path, value in flat.items() if path.startswith(start)}


def is_complete(workdir: Path) -> bool:
    """Whether a run is complete and no file of it is missing or has another size.

    Raises:
      InputError: report.json is broken.
    """
    report = read_report(workdir)
    return report is not None and not any(file_faults(workdir, report))


def has_card(workdir: Path, config: Mapping[str, Any], report: Report) -> bool:
    """Whether a run wrote a model card and its hf/ still exists."""
    table = f"hf/{manifest.TABLE}"
    is_set = config.get("output", {}).get("card", False) or "shrunk" in report
    return is_set and table in report.get("files", {}) and (workdir / table).is_file()


def file_faults(workdir: Path, report: Report, *, digests: bool = False) -> Iterator[str]:
    """A line for each file of a complete run that is missing, damaged or not from this package.

    Args:
      digests: read all files and compare their SHA-256, a second per gigabyte, which `verify` alone does; by default
        the tables of files and the sizes of all others are compared.
    """
    for name, (size, sha256) in report.get("files", {}).items():
        path = workdir / name
        if wrong := manifest.fault(path, (size, sha256)):
            yield f"{name}: {wrong}"
        elif path.name == manifest.TABLE:
            faults = manifest.faults(path.parent, digests=digests)
            yield from (f"{path.parent.name}: {fault}" for fault in faults)
    with contextlib.suppress(InputError):  # of a changed file, which is listed already
        has = has_card(workdir, read_json(workdir / CONFIG), report)
        hf = workdir / "hf"
        if has and not (hf / manifest.CARD).is_file() and manifest.CARD not in manifest.table(hf):
            yield f"hf: {manifest.CARD}: missing"


def check_scored_model(workdir: Path) -> None:
    """Rejects a workdir with scores of another model than its pruned one, or with a missing file of an evaluation.

    Raises:
      InputError: names the scores; or report.json is broken.
    """
    report = read_report(workdir) or {}
    files = sorted(workdir.glob(f"*/{EVALUATION}"))
    for file in files:
        manifest.check_whole(file.parent)
    pruned = pruned_digest(report)
    if pruned is None and "shrunk" not in report:
        return
    expected_digests = (report["models"].get("hf"), pruned)
    for file in files:
        scored = read_json(file).get(MODEL_DIGEST)
        if scored is not None and scored not in expected_digests:
            raise InputError(
                f"{file}: scores of another model (SHA-256 {scored[:12]}…) than the one in {workdir / REPORT}; "
                "evaluate the pruned model again, or the other one in its own folder"
            )


def pruned_digest(report: Report) -> str | None:
    """The digest of the dense model, masks and changed weights; None if the report lacks any of their digests."""
    models, digests = report.get("models"), report.get("digests")
    if models is None or digests is None:
        return None
    changed = {"changed": digests["changed"]} if "changed" in digests else {}
    return combined({"model": models["dense"], "masks": digests["masks"], **changed})
