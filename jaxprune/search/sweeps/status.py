"""The workdir of a sweep → how many of its variants are done, who makes which, and the time that is left."""

import time
from collections.abc import Sequence
from pathlib import Path

from jaxprune.base.workdir.json_files import EVALUATION
from jaxprune.base.workdir.locks import PROGRESS
from jaxprune.evaluation.measurements import MEASUREMENTS
from jaxprune.runs.buckets.ownership import owner_of
from jaxprune.runs.run import RECORD
from jaxprune.search.status import duration, holder_of
from jaxprune.search.sweeps.jobs import unfinished
from jaxprune.search.sweeps.sweep_json import begun_config, begun_shares
from jaxprune.search.sweeps.variants import variants
from jaxprune.search.sweeps.workers import shard_of

_MOST = 12  # names in a line


def sweep_status(workdir: Path) -> str:
    """Lines about a sweep.

    Raises:
      InputError: no sweep.
    """
    config, shares = begun_config(workdir), begun_shares(workdir)
    planned = variants(config).made
    if shares:
        planned = [variant for share in shares for variant in shard_of(planned, share)]
    left = unfinished(planned, config, workdir)
    names = [variant.name for variant in left]
    done = [variant.name for variant in planned if variant.name not in names]
    lines = [f"{len(done)} of {len(planned)} variants are done{_time_left(workdir, done, names)}"]
    if shares:
        lines[0] = f"share {', '.join(shares)}: {lines[0]}"
    if not left:
        lines[0] += _next(workdir, shares)
    running = {
        name: holder for name in names if (holder := holder_of(workdir / PROGRESS / f"{name}.lock"))
    }
    lines += [f"  running: {name}, {holder}" for name, holder in running.items()]
    if owner := owner_of(workdir):
        lines.append(f"  running: {owner}")
    begun = [
        name
        for name in names
        if name not in running and (workdir / name / PROGRESS / RECORD).is_file()
    ]
    if begun and not owner:
        lines.append(f"  stopped, go on when the command is repeated: {_some(begun)}")
    if others := [name for name in names if name not in running and name not in begun]:
        lines.append(f"  to do: {_some(others)}")
    return "\n".join(lines)


def _next(workdir: Path, shares: Sequence[str]) -> str:
    """The step after all variants are done, if there is one."""
    if shares:
        return "; jaxprune sweep --merge joins the shares"
    return "" if (workdir / MEASUREMENTS).is_file() else "; the tables are not written yet"


def _some(names: Sequence[str]) -> str:
    """The first names, and the number of the rest."""
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more


def _time_left(workdir: Path, done: Sequence[str], left: Sequence[str]) -> str:
    """From the times at which variants were finished, by any number of workers."""
    ends = sorted(
        max(file.stat().st_mtime for file in (workdir / name).glob(f"*/{EVALUATION}"))
        for name in done
    )
    if len(ends) < 2 or not left:
        return ""
    pace = (ends[-1] - ends[0]) / (len(ends) - 1)
    return f"; about {duration(pace * len(left) - (time.time() - ends[-1]))} left at this pace"
