"""The time, memory and disk that a packing takes, estimated before it starts."""

import dataclasses
import shutil
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from jaxprune.base.errors import InputError
from jaxprune.base.text import byte_size
from jaxprune.devices.compiled import compiled
from jaxprune.devices.sharding import EVERY, device_mesh
from jaxprune.search.packing import speed
from jaxprune.search.packing.job import Job
from jaxprune.shrinking.vocabulary import split
from jaxprune.steps.planning.costs import (
    TOKEN,
    TOKENIZER,
    kernel_weights,
    operations,
    writing_memory,
)
from jaxprune.steps.planning.plan import check_fits, plan_from_config
from jaxprune.steps.planning.recovery import recovery_memory

# Tokens of each language after which the model's probabilities of all tokens are measured.
EXPECTED = 4096
# Vocabularies and roundings that are measured, as a rule; the head of a smaller vocabulary beside the dense one's.
_VOCABULARIES, _ROUNDINGS, _HEAD = 4, 3, 0.3
# Share of the rate of large products that a whole packing reaches, with compilation and files; measured with Gemma 3
# 270M on two cores.
_EFFICIENCY = 0.65
# The rate at which a model writes, as a share of that of the other steps.
_WRITING = 0.5
# Bytes for a number of the embedding while a file in 16 bits is written, whose speed is measured: three copies.
_COMPARED = 6
_WIDTH, _REPETITIONS = 2048, 3


class PackPlan(NamedTuple):
    """Estimates of a packing.

    Attributes:
      seconds: on the devices of this process.
      memory, available: bytes of the largest step, at most, and those that are free; None if unknown.
      disk, free: bytes that the steps write, at most, and those that are free.
    """

    seconds: float
    memory: int
    available: float | None
    disk: int
    free: int

    def __str__(self) -> str:
        memory = byte_size(self.memory)
        if self.available is not None:
            memory += f" of {byte_size(self.available)}"
        return (
            f"about {max(1, round(self.seconds / 60))} min on this machine; about {memory} of memory and "
            f"at most {byte_size(self.disk)} of disk, {byte_size(self.free)} are free"
        )


def pack_plan(job: Job) -> PackPlan:
    """Estimates from the sizes of the model and the texts, and from the measured rate of a large product.

    Raises:
      InputError: the memory or the disk is too small.
    """
    model, parts, rounding = job.model, job.parts, job.rounding(job.config.model)
    plan = plan_from_config(rounding)
    check_fits(plan)
    choosing, reported, kept = (
        sum(len(ids) for texts in part.values() for ids in split(model, texts))
        for part in (parts.choosing, parts.reported, parts.kept)
    )
    lines, shots = sum(map(len, parts.kept.values())), rounding.calibration.shots
    length = min(kept * shots // lines, rounding.calibration.max_length)
    calibration = ((rounding.calibration.samples, length),)
    rounded = operations(dataclasses.replace(plan.work, groups=calibration))
    expected = len(parts.kept) * EXPECTED
    kernels = kernel_weights(model.config)
    head = model.config.vocab_size * model.config.d_model
    smaller = _VOCABULARIES + _ROUNDINGS
    tokens = choosing * (1 + smaller) + 2 * reported + expected
    of_head = choosing * (1 + _HEAD * smaller) + (1 + _HEAD) * reported + 2 * expected
    products = 2 * (kernels * tokens + head * of_head) + _ROUNDINGS * rounded
    # beside the rounding, the tokenizer of the model with fewer tokens
    memory = sum(plan.host.values()) + TOKENIZER + TOKEN * model.config.vocab_size
    if speed.is_measured():
        memory += _COMPARED * head
    if job.config.text is None:
        products += 2 * (kernels + head) * (kept + choosing + reported) / _WRITING
        memory = max(memory, sum(writing_memory(model.config).values()))
    stored = model.size * jnp.dtype(model.dtype).itemsize
    parents = (job.workdir, *job.workdir.absolute().parents)
    folder = next(path for path in parents if path.exists())
    seconds, written = products / (_EFFICIENCY * product_rate()), _ROUNDINGS
    if job.config.recover is not None:
        seconds, written = seconds + 60 * job.config.recover, written + 1
        most = min(map(len, parts.kept.values())) // shots
        all_samples = dataclasses.replace(plan.work, groups=((most, length),))
        recovery = job.recovery(job.config.model, job.workdir)
        needed = recovery_memory(all_samples, plan.machines, recovery, on_grid=True)
        memory = max(memory, sum(needed[1].values()))
    disk = _VOCABULARIES * stored + 5 * written * model.size  # hf/ in float32, and model.gguf
    estimates = PackPlan(seconds, memory, plan.room[1], disk, shutil.disk_usage(folder).free)
    if estimates.disk > estimates.free:
        raise InputError(f"--workdir: {job.workdir} has too little room: {estimates}")
    return estimates


def product_rate() -> float:
    """Operations a second of a large product in float32 on all devices."""
    mesh = device_mesh()
    shape = (mesh.size * _WIDTH, _WIDTH)
    rows = jax.device_put(jnp.ones(shape), NamedSharding(mesh, PartitionSpec(EVERY)))
    kernel = jax.device_put(jnp.ones((_WIDTH, _WIDTH)), NamedSharding(mesh, PartitionSpec()))
    product = compiled(jnp.matmul)
    jax.block_until_ready(product(rows, kernel))
    start = time.perf_counter()
    for _ in range(_REPETITIONS):
        jax.block_until_ready(product(rows, kernel))
    return _REPETITIONS * 2 * shape[0] * _WIDTH**2 / (time.perf_counter() - start)
