"""The workdirs of a sweep's shares → one workdir with all of its variants."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from jaxprune.base.errors import InputError, check_equal, listed
from jaxprune.base.files import sealed
from jaxprune.base.files.outside import read_json
from jaxprune.base.files.whole import write_json
from jaxprune.base.progress import say
from jaxprune.base.workdir.json_files import EVALUATION, REPORT
from jaxprune.base.workdir.locks import locked
from jaxprune.base.workdir.reading import is_complete, read_report
from jaxprune.evaluation.measurements import read_evaluation
from jaxprune.sweeps.calibration import STATS
from jaxprune.sweeps.result import SweepResult
from jaxprune.sweeps.sweep_json import CONFIG, PLACE, WORKERS, begun_sweep
from jaxprune.sweeps.write import rebuild


def merge(parts: Sequence[Path], workdir: Path) -> SweepResult:
    """Copies the finished runs and scores of several workdirs to one, and writes the tables.

    Args:
      parts: workdirs of one sweep, which stay as they are. Those of shares that have not started are named and left
        out; the tables name the variants that are missing.
      workdir: of the same sweep, or a new folder. What it has is kept, except scores in fewer languages
        than a part has, which are replaced.

    Returns:
      The comparison of its variants.

    Raises:
      InputError: a part is no sweep, or of another config or other inputs; a variant is damaged, or another in two
        parts; a worker is writing to the workdir; no scores of the dense model.
    """
    waiting = [part for part in parts if not _has_started(part)]
    if 0 < len(waiting) < len(parts):
        say(f"sweep: {listed(waiting)}: not started; merges the rest")
        parts = [part for part in parts if part not in waiting]
    sweeps = [workdir, *parts] if (workdir / CONFIG).is_file() else parts
    for sweep in sweeps:
        _check_same(sweeps[0], sweep)
    with locked(workdir, WORKERS):
        for part in parts:
            if part != workdir:
                _merge_one(part, workdir)
        return rebuild(workdir)


def _has_started(part: Path) -> bool:
    """Whether a workdir has anything of a sweep; a share that begins writes sweep.json first."""
    return (part / CONFIG).is_file() or any(part.glob(f"*/*/{EVALUATION}"))


def _check_same(one: Path, other: Path) -> None:
    """Rejects parts of two sweeps, whose config or inputs differ."""
    a, b = begun_sweep(one), begun_sweep(other)
    where, allowed = f"{one} and {other}", "parts of one sweep"
    fields, others = (
        {path: value for path, value in part["config"].items() if path not in PLACE}
        for part in (a, b)
    )
    check_equal(where, fields, others, allowed)
    check_equal(where, a["digests"], b["digests"], allowed)


def _merge_one(part: Path, workdir: Path) -> None:
    """Copies variants and scores that a workdir lacks, and scores of more languages than it has."""
    for folder in sorted(path.parent for path in part.glob(f"*/*/{EVALUATION}")):
        _copy_variant(folder.parent, workdir / folder.parent.name)
        target = workdir / folder.relative_to(part)
        if _languages(target) < _languages(folder):  # made before languages were added
            sealed.check_whole(folder)
            sealed.check_replaceable(target, overwrite=True)
            sealed.remove(target)
        _copy(folder, target)
    for folder in sorted((part / STATS).glob("*")):
        _copy(folder, workdir / STATS / folder.name)
    if not (workdir / CONFIG).is_file():
        write_json(workdir / CONFIG, read_json(part / CONFIG))


def _copy_variant(source: Path, target: Path) -> None:
    """Copies a finished run without its scores; rejects another run of the same variant."""
    report = read_report(source)
    if report is None:  # the dense model has none
        return
    if (there := read_report(target)) is not None:
        for name in ("identity", "digests"):
            check_equal(f"{source} and {target}", report[name], there[name], "runs of one sweep")
        return
    if not is_complete(source):
        raise InputError(f"{source}: damaged or unfinished; allowed: to make it again there")
    for path in sorted(source.iterdir()):
        if path.is_file() and path.name != REPORT:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        elif path.is_dir() and not (path / EVALUATION).is_file():
            _copy(path, target / path.name)
    write_json(target / REPORT, report)


def _languages(folder: Path) -> set[str]:
    """The languages of a folder of scores."""
    return {*read_evaluation(folder).get("languages", ())}


def _copy(source: Path, target: Path) -> None:
    """Copies a finished folder that is not there yet; it appears when it is complete."""
    if source.name.endswith(sealed.UNFINISHED):
        return
    if not target.exists():
        sealed.check_whole(source)
        unfinished = sealed.unfinished(target)
        shutil.copytree(source, unfinished)
        unfinished.rename(target)
    sealed.discard(target)
