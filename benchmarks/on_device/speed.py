"""How fast this package prunes, scores and generates on one device, and the least that takes at the measured rates."""

import math
from collections import Counter

import numpy as np
import timing

from on_device.job import SPARSITY, SPEED_DTYPE


def prune(job, side, model):
    """Half of the weights, block by block; what the plan says, and the peak of the device's memory."""
    from jaxprune.data.batches import set_tokens
    from jaxprune.data.ready_tokens import samples_of
    from jaxprune.devices.machine import peak_memory
    from jaxprune.devices.sharding import device_mesh
    from jaxprune.pruning.loop import prune_blocks
    from jaxprune.pruning.settings import Settings
    from jaxprune.stats.grouping import grouped

    opened, mesh = job.open(model), device_mesh(1)
    batches = grouped([samples_of(np.array(job.inputs(model)["samples"]))])
    settings = Settings(sparsity=SPARSITY, dtype=SPEED_DTYPE)
    planned, floor = _plan(job, opened, batches, mesh)
    at_a_time, stages = planned.samples_per_device, Counter()

    def run():
        stages.clear()
        for block in prune_blocks(
            opened, batches, settings, mesh=mesh, samples_per_device=at_a_time, progress=False
        ):
            stages.update(block.seconds)

    times = timing.repeated(run, job.sizes["budget"])
    where = "host" if planned.machines.cpu else "device"
    device = mesh.devices.flat[0]
    peak = peak_memory().get("host" if where == "host" else f"device {device.id}")
    parts = getattr(planned, where)
    return times | {
        "tokens": sum(set_tokens(batches).values()), "stages": dict(stages), "least_seconds": floor,
        "memory": {"of": where, "peak_bytes": peak, "planned_bytes": sum(parts.values()), "planned": parts},
    }  # fmt: skip


def _plan(job, opened, batches, mesh):
    """The plan, and its floor: seconds that products, weights and the link take at the rates that were measured."""
    import roofline

    from jaxprune.devices.memory import room
    from jaxprune.devices.products import product_dtype
    from jaxprune.models.attention.platform import platform
    from jaxprune.steps.planning import costs, plan
    from jaxprune.steps.planning.chips import Chip

    dtype, rates = product_dtype(SPEED_DTYPE), job.rates
    work = costs.Work(
        config=opened.config,
        groups=costs.groups_of(batches),
        dtype=dtype,
        stored=opened.dtype,
        hf=False,
    )
    machines = costs.Machines(platform=platform())
    if rates is None:
        return plan.planned(work, machines, room(mesh)), {}
    flops = {dtype: rates["matmul"][SPEED_DTYPE]}
    chip = Chip(machines.platform, flops, math.inf, rates["memory"], rates["link"] or math.inf)
    planned = plan.planned(work, machines, room(mesh))
    return planned, roofline.floor(planned, chip)


def score(job, side, model):
    """Questions of several options; what the options of a question share is computed once."""
    import work

    from jaxprune.devices.sharding import device_mesh
    from jaxprune.evaluation.scoring.forest import pack_forests
    from jaxprune.evaluation.scoring.scorer import Scorer

    opened, questions = job.open(model), job.inputs(model)["questions"]
    scorer = Scorer(opened, dtype=SPEED_DTYPE, mesh=device_mesh(1), progress=False)
    found = []

    def run():
        found[:] = scorer(questions)

    times = timing.repeated(run, job.sizes["budget"])
    of_tokens = np.concatenate([scores.log_probabilities for scores in found])
    np.savez(job.arrays(side, "questions", model), scores=of_tokens)
    passes = [p for f in pack_forests(questions, [1] * len(questions)) for p in scorer.passes(f)]
    turns = sum(len(scorer.embed(part).contexts) for part in passes)
    read = turns * work.weights(opened.config) * _itemsize()
    least = _least(job, work.scoring(opened.config, questions), read)
    return times | {"tokens": sum(map(len, questions)), "least_seconds": least}


def generate(job, side, model):
    """What follows prompts that begin alike, greedily; the shared beginning is computed once."""
    import work

    from jaxprune.devices.sharding import device_mesh
    from jaxprune.evaluation.generation.generator import Generator

    opened, prompts, new = job.open(model), job.inputs(model)["prompts"], job.sizes["new"]
    generator = Generator(opened, dtype=SPEED_DTYPE, mesh=device_mesh(1), progress=False)
    found = []

    def run():
        found[:] = generator(prompts, max_new_tokens=new)

    times = timing.repeated(run, job.sizes["budget"])
    lengths, shared = [len(prompt) for prompt in prompts], job.sizes["beginning"]
    costs = work.generating(opened.config, lengths, shared, new, _itemsize())
    return times | {"tokens": sum(map(len, found)), "least_seconds": _least(job, *costs)}


def _least(job, operations, read):
    """Seconds that products and reading take at the measured rates, where these were measured."""
    if job.rates is None:
        return {}
    rate = job.rates["matmul"][SPEED_DTYPE]
    return {"products": operations / rate, "weights": read / job.rates["memory"]}


def _itemsize():
    from jaxprune.devices.products import product_dtype

    return np.dtype(product_dtype(SPEED_DTYPE)).itemsize
