"""Compares every file of a run with its digest."""

from pathlib import Path

from jaxprune.base.errors import InputError, one_line
from jaxprune.base.workdir.reading import ChangedReportError, file_faults, read_report


def verify(run: Path) -> list[str]:
    """Lists the differences of a run from its report, one line each; empty without differences.

    A changed report is the only difference that is listed. Otherwise reads every file and compares its SHA-256.

    Args:
      run: the workdir of a run.

    Raises:
      InputError: no complete run: report.json, which is written last, or its digests are missing.
    """
    if not run.is_dir():
        raise InputError(f"{run}: no such folder; expected the --workdir of a run")
    try:
        report = read_report(run) or {}
    except ChangedReportError as error:
        return [one_line(str(error).removeprefix(f"{run}/"))]
    if not report.keys() & {"shrunk", "quantized", "sparsity"}:
        raise InputError(
            f"{run}: no complete run; expected report.json, which jaxprune prune, recover, shrink, quantize "
            "and pack write last"
        )
    return [one_line(fault) for fault in file_faults(run, report, digests=True)]
