"""A workdir, also one in a bucket → how far its run is: finished, running, stopped, and the time that is left."""

import fcntl
import time
from pathlib import Path

from jaxprune.base.errors import InputError
from jaxprune.base.files.outside import read_json
from jaxprune.base.text import seconds
from jaxprune.base.workdir.json_files import REPORT
from jaxprune.base.workdir.locks import LOCK, PROGRESS
from jaxprune.evaluation.measurements import evaluated_folders
from jaxprune.pages.packed_model import PACKING
from jaxprune.runs.buckets.ownership import owner_of
from jaxprune.runs.run import LAYERS, RECORD
from jaxprune.search.packing.job import CHOOSING, STEPS

STOPPED = "stopped; the same command resumes it"


def run_status(workdir: Path) -> str:
    """One line about a run and its evaluations.

    Raises:
      InputError: no run, and no evaluation.
    """
    record = read_json(workdir / PROGRESS / RECORD)
    evaluated = [folder.name for folder in evaluated_folders(workdir)]
    parts = []
    if record:
        layers = sorted((workdir / PROGRESS).glob(LAYERS))
        parts.append(f"{len(layers)} of {record.get('layers', '?')} layers")
        parts.append(_running(workdir) or STOPPED)
        if left := _time_left(layers, record.get("layers", 0)):
            parts.append(left)
    elif "result" in (packing := read_json(workdir / PACKING)):
        parts.append(f"finished in {seconds(packing['seconds'])} s")
    elif report := read_json(workdir / REPORT):
        parts.append(f"finished in {seconds(report['seconds']['total'])} s")
    elif packing:
        steps = workdir / STEPS
        measured = sorted(folder.parent.name for folder in steps.glob(f"*/{CHOOSING}"))
        parts.append(f"packing, measured: {', '.join(measured) or 'nothing yet'}")
        parts.append(_running(steps) or STOPPED)
    if evaluated:
        parts.append(f"evaluated on {', '.join(evaluated)}")
    if not parts:
        raise InputError(f"{workdir}: no run; expected the --workdir of one")
    return "; ".join(parts)


def _running(workdir: Path) -> str | None:
    """By whom a run is written; None if by nobody."""
    holder = holder_of(workdir / PROGRESS / LOCK) or owner_of(workdir)
    return holder and f"running, {holder}"


def holder_of(lock: Path) -> str | None:
    """The process that holds a lock, in words; None if none does."""
    try:
        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "by another process"
    except FileNotFoundError:
        pass
    return None


def _time_left(layers: list[Path], count: int) -> str | None:
    """From the times at which layers were written."""
    times = [file.stat().st_mtime for file in layers]
    if len(times) < 2 or len(times) >= count:
        return None
    left = (times[-1] - times[0]) / (len(times) - 1) * (count - len(times))
    return f"about {duration(left - (time.time() - times[-1]))} left"


def duration(length: float) -> str:
    """Seconds in words, at least a minute: 12 min, 3.5 h."""
    minutes = max(1.0, length / 60)
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
