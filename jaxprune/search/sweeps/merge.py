"""The workdirs of a sweep's shares → one workdir with all of its variants."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from jaxprune.base.errors import InputError, check_equal, listed, with_addresses
from jaxprune.base.files import manifest
from jaxprune.base.files.whole import write_json
from jaxprune.base.progress import say
from jaxprune.base.workdir.json_files import CONFIG, EVALUATION, REPORT
from jaxprune.base.workdir.locks import PROGRESS, locked
from jaxprune.base.workdir.reading import is_complete, read_report
from jaxprune.runs.run import SWEEP
from jaxprune.search.sweeps.result import SweepResult
from jaxprune.search.sweeps.sweep_json import WORKERS, begun_sweep, is_sweep
from jaxprune.search.sweeps.write import rebuild

# Parts of sweep.json that all shares of a sweep have in common.
_COMPARED = ("config", "digests")


def merge(parts: Sequence[Path], workdir: Path) -> SweepResult:
    """Copies the finished runs and scores of several workdirs to one, and writes the tables.

    Args:
      parts: workdirs of one sweep, which remain unchanged. Shares that have not started are reported and
        omitted; the tables name the missing variants.
      workdir: workdir of the same sweep, or a new folder. Its contents are kept.

    Returns:
      The comparison of its variants.

    Raises:
      InputError: a part is no sweep, or of another config or other inputs; a variant is damaged, or another in two
        parts; a worker is writing to the workdir; no scores of the dense model.
    """
    waiting = [part for part in parts if {*part.glob("*")} <= {part / PROGRESS}]
    if 0 < len(waiting) < len(parts):
        say(f"sweep: {with_addresses(listed(waiting))}: not started; merges the rest")
        parts = [part for part in parts if part not in waiting]
    sweeps = [workdir, *parts] if is_sweep(workdir) else parts
    for sweep in sweeps:
        _check_same(sweeps[0], sweep)
    with locked(workdir, WORKERS):
        for part in parts:
            for variant in sorted({file.parents[1] for file in part.glob(f"*/*/{EVALUATION}")}):
                _copy_variant(variant, workdir / variant.name)
        begun = begun_sweep(parts[0])
        write_json(workdir / SWEEP, {name: begun[name] for name in _COMPARED})
        return rebuild(workdir)


def _check_same(first: Path, second: Path) -> None:
    """Rejects parts of two sweeps, whose config or inputs differ."""
    a, b = begun_sweep(first), begun_sweep(second)
    where, allowed = f"{first} and {second}", "parts of one sweep"
    for name in _COMPARED:
        check_equal(where, a[name], b[name], allowed)


def _copy_variant(source: Path, target: Path) -> None:
    """Copies the folders of a variant, and its report last; rejects another run of the same variant."""
    report, existing = read_report(source), read_report(target)  # the dense model has none
    if report and existing:
        for name in ("identity", "digests"):
            check_equal(f"{source} and {target}", report[name], existing[name], "runs of one sweep")
    elif report and not is_complete(source):
        raise InputError(f"{source}: damaged or unfinished; make it again there")
    for folder in sorted(filter(Path.is_dir, source.iterdir())):
        _copy(folder, target / folder.name)
    if report and not existing:
        shutil.copy2(source / CONFIG, target)
        write_json(target / REPORT, report)


def _copy(source: Path, target: Path) -> None:
    """Copies a finished folder unless it exists; it appears when it is complete."""
    if source.name.endswith(manifest.UNFINISHED):
        return
    if not target.exists():
        manifest.check_whole(source)
        unfinished = manifest.unfinished(target)
        shutil.copytree(source, unfinished)
        unfinished.rename(target)
    manifest.discard(target)
