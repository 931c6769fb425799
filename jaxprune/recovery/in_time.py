"""The samples and epochs of a recovery that fit into some seconds, by the speed of a trial."""

import dataclasses
import itertools
import math
import time
from collections import Counter
from typing import NamedTuple

from jaxprune.base.errors import InputError
from jaxprune.data.batches import first_samples
from jaxprune.devices import hosts
from jaxprune.recovery.recover import recover_blocks
from jaxprune.recovery.task import Task, step_products

# Passes over each sample, if the text allows that many samples, and at most.
LEAST_EPOCHS, MOST_EPOCHS = 2, 20
# Share of the time that is planned; compilation for other lengths and the writing of files take some.
PLANNED = 0.9


class Speed(NamedTuple):
    """Seconds of a recovery: fixed + samples · (read + epochs · fitted)."""

    fixed: float
    read: float
    fitted: float

    def seconds(self, samples: int, epochs: int) -> float:
        """The seconds that a recovery takes."""
        return self.fixed + samples * (self.read + epochs * self.fitted)


def fit_into(task: Task, minutes: float, began: float) -> Task:
    """The recovery with as many samples as fit into the minutes, in 2 epochs, or with all and more epochs.

    Runs on a few samples first, to measure the speed.

    Args:
      minutes: time of the whole command or call.
      began: `time.perf_counter()` at its start.

    Raises:
      InputError: the fewest samples take longer.
    """
    available = task.size["samples"]
    least = min(available, 2 * task.fields.batch)
    speed = _measured(task, least)
    spent = time.perf_counter() - began
    samples, epochs = hosts.gather_json([*chosen(speed, 60 * minutes - spent, least, available)])[0]
    if not epochs:
        needed = math.ceil((spent + speed.seconds(least, 1) / PLANNED) / 60)
        raise InputError(
            f"recovery.minutes: too few; {least} samples take {needed} minutes, expected {needed} or more"
        )
    fields = dataclasses.replace(task.fields, epochs=epochs)
    return dataclasses.replace(task, batches=first_samples(task.batches, samples), fields=fields)


def chosen(speed: Speed, seconds: float, least: int, available: int) -> tuple[int, int]:
    """(samples, epochs) for these seconds; no epochs if the fewest samples take longer."""
    left = PLANNED * seconds - speed.fixed
    samples = left / (speed.read + LEAST_EPOCHS * speed.fitted)
    count = max(least, min(available, int(samples)))
    epochs = int((left / count - speed.read) / speed.fitted)
    return count, max(0, min(MOST_EPOCHS, epochs))


def _measured(task: Task, samples: int) -> Speed:
    """The speed on the first samples, after a run that compiles the programs."""
    fits = [final for _, final in task.windows]
    first, measured = fits[0], fits[:2][-1]  # the first one also reads the samples

    def laps(epochs: int) -> list[Counter[str]]:
        fields = dataclasses.replace(task.fields, epochs=epochs)
        trial = dataclasses.replace(
            task, batches=first_samples(task.batches, samples), fields=fields, saved=None,
            finished=lambda layer: None, progress=False,
        )  # fmt: skip
        blocks = itertools.islice(recover_blocks(trial), measured.stop)
        seconds = [Counter(block.seconds) for block in blocks]
        return [sum(seconds[fit.start : fit.stop], Counter()) for fit in (first, measured)]

    laps(1)
    (begun, one), (_, two) = laps(1), laps(2)
    fitted = max(two["recover"] - one["recover"], 0.1 * one["recover"]) / samples
    fixed = one["read"] + max(0.0, one["recover"] - samples * fitted)
    read = (begun["forward"] + (len(fits) - 1) * one["forward"]) / samples
    products = step_products(task.fields, task.config.n_layers)
    return Speed(len(fits) * fixed, read, fitted * sum(products) / products[:2][-1])
