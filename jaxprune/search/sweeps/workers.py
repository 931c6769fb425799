"""The workers of a sweep, which share its workdir: each makes the next variant that no other one makes."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxprune.base.errors import InputError, invalid_value, listed
from jaxprune.base.progress import say, tqdm_bar
from jaxprune.base.workdir.locks import LockedError, locked
from jaxprune.search.sweeps.variants import Variant

_BAR = "sweep {desc} {n_fmt}/{total_fmt} |{bar}| {elapsed} < {remaining}"
# Seconds until a worker that has nothing else to do looks again for variants of workers that are gone.
_WAIT = 2.0
# Environment variables with the number of a worker, from 0.
_NUMBERS = ("SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "SKYPILOT_NODE_RANK")


def make_all(
    planned: Sequence[Variant],
    workdir: Path,
    is_whole: Callable[[Variant], bool],
    make: Callable[[Variant], None],
) -> None:
    """Makes variants in their order until all are whole, also the variants of workers that are gone.

    Args:
      planned: the variants.
      workdir: workdir of the sweep, with a lock for each variant while a worker has it.
      is_whole: whether a variant is finished.
      make: makes the missing parts of a variant; raises `LockedError` if another worker has one that it reads.
    """
    unfinished = [variant for variant in planned if not _owned(variant, workdir, is_whole)]
    finished, waits = len(planned) - len(unfinished), False
    with tqdm_bar(
        len(planned), bool(unfinished), initial=finished, bar_format=_BAR
    ) as variants_bar:

        def finish(variant: Variant) -> bool:
            variants_bar.set_description_str(variant.name)
            if not is_whole(variant):
                make(variant)
            variants_bar.update()
            return True

        while unfinished:
            waiting = [variant for variant in unfinished if not _owned(variant, workdir, finish)]
            if len(waiting) == len(unfinished):
                if not waits:
                    names = listed(variant.name for variant in waiting)
                    say(f"sweep: waits for other workers: {names}")
                waits = True
                time.sleep(_WAIT)
            unfinished = waiting


def _owned(variant: Variant, workdir: Path, act: Callable[[Variant], bool]) -> bool:
    """The result of `act` on a variant, locked against other workers; False if another worker has it."""
    with contextlib.suppress(LockedError), locked(workdir, f"{variant.name}.lock"):
        return act(variant)
    return False


def shard_of(planned: Sequence[Variant], shard: str) -> list[Variant]:
    """Every n-th variant, from the i-th on, of a share i/n."""
    number, count = map(int, shard.split("/"))
    return [*planned[number::count]]


def share_of_flag(shard: str) -> str:
    """A share i/n with i from 0 to n - 1.

    Args:
      shard: i/n, with i from 0 to n, where n is the same as 0; with "auto" as i, the number that Slurm gives to a task
        of an array, Kubernetes to a pod of an indexed Job, or SkyPilot to a node.

    Raises:
      InputError: not of this form, or no such number.
    """
    number, _, count = shard.partition("/")
    if number == "auto":
        number = next((value for name in _NUMBERS if (value := os.environ.get(name))), "")
        if not number:
            raise InputError(f"--shard: auto, but none of {', '.join(_NUMBERS)} is set")
    if not (number.isdecimal() and count.isdecimal() and 0 < int(count) >= int(number)):
        raise invalid_value("--shard", f"{number}/{count}", "i/n with i from 0 to n, or auto/n")
    return f"{int(number) % int(count)}/{int(count)}"
