"""A pruned or smaller model → its recovered blocks, by the method of `recovery.how`."""

import dataclasses
import math
from collections.abc import Generator

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.models.grids import GRIDS
from jaxprune.recovery.config import DISTIL
from jaxprune.recovery.task import Task
from jaxprune.recovery.windows import recover_by_window
from jaxprune.stats.finished import PrunedBlock


def recover_blocks(task: Task) -> Generator[PrunedBlock, None, None]:
    """Recovers and yields the blocks of a pruned or smaller model in order; for errors see `recover`."""
    task.fields.window(task.config.n_layers)  # raises for fields that contradict each other
    rows = math.gcd(task.samples_per_device, task.fields.batch)  # a step has `batch` samples
    if sum(-(-len(batch.tokens) // rows) for batch in task.batches) < 2:
        raise InputError(
            "calibration.samples: too few for recovery, which also holds out some; use more"
        )
    layers = task.teacher.config.n_layers - len(task.dropped)
    if task.fields.how != DISTIL and layers != task.config.n_layers:
        raise invalid_value(
            "recovery.how",
            task.fields.how,
            f"{DISTIL} for a smaller model in memory; or the workdir of shrink",
        )
    if task.fields.how == DISTIL and task.config.logit_softcap is not None:
        raise InputError(
            "recovery.how: distil needs logits that are products, and this model caps them "
            "(final_logit_softcapping); use block or window"
        )
    return recover_by_window(dataclasses.replace(task, samples_per_device=rows))


def check_scales(grid: str) -> None:
    """Rejects a recovery on a grid of numbers without scale, which leaves nothing of kernels to fit."""
    if not GRIDS[grid].levels:
        raise InputError(
            f"recovery.run: is in {grid}, without scales to fit; expected another grid"
        )
