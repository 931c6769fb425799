"""Operations, bytes and collectives of each device on 1 to 8 devices, and predicted times on accelerators.

    python benchmarks/scaling.py                  # forced CPU devices
    pip install libtpu "jax[cuda12]"              # compilers for TPUs and for NVIDIA's GPUs, which need none
    python benchmarks/scaling.py --tpu
    python benchmarks/scaling.py --gpu

Nothing is run: passes over a block of published shapes are compiled from shapes alone. Predicted time of a layer, for
100 samples in bfloat16 with propagate=block, with rates of `roofline`:

    compute   pieces * sum over passes of max(flops / peak, bytes / bandwidth) + selection
    selection (bytes of the program + 19 more rounds * 4 bytes a weight) / bandwidth
    link      (block + states to and fro) / link, in the background
    layer     max(compute, link)

Operations are those of the products, attention's among them (`roofline.flops`): XLA does not look into kernels. Bytes
are inputs and outputs of each operation of the compiled program. The roofline is `roofline.floor`: products at their
peak, or the link, whichever is longer. "One after another" is the time if no operation of the device ran while memory
is read or written: the sum in place of the maximum.
"""

import argparse
import contextlib
import dataclasses
import os
import re
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from hlo_bytes import moved
from jax.experimental import topologies
from random_checkpoint import read
from roofline import floor
from roofline import flops as operations_of

from jaxprune.devices.sharding import block_shares, by_rows, device_mesh, mesh_of, replicated
from jaxprune.models.model import family_of, modules
from jaxprune.pruning.block import prune_compiled
from jaxprune.pruning.budget import Budget
from jaxprune.pruning.criterion import Inputs, key_of_seed
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.settings import Settings
from jaxprune.stats.micro_batches import Context
from jaxprune.stats.walk import run_segment
from jaxprune.steps.planning import costs, plan
from jaxprune.steps.planning.chips import CHIPS

NAMES = ("bloom-7b1", "xglm-7.5b")
ROWS, LENGTH, SAMPLES = 2, 512, 100
LONG_LENGTH = 2048
# Rows whose temporaries are told, and of which models.
LONG, LONG_NAMES = (4, 4096), ("bloom-7b1", "gemma-3-1b")
KINDS = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast"
# The bisection of a selection takes about 20 (`pruning/selection.py`), of which XLA's program shows one.
MORE_ROUNDS = 19


class Target(NamedTuple):
    """Machines for which time is predicted; the topology of one host as its compiler names it."""

    name: str
    chip: str
    topology: str
    devices: int
    hosts: int


H100 = Target("one H100", "h100", "h100", 1, 1)
TPUS = (Target("v5e-8", "v5e", "v5e:2x4", 8, 1), Target("v5p-32", "v5p", "v5p:2x2x1", 4, 4))
# so that libtpu does not look for one
NO_TPU = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
}


def compiled(config, mesh, rows=ROWS, length=LENGTH, dtype="bfloat16"):
    """The passes of propagate=block and the selection, compiled for a mesh."""

    def shaped(leaf, sharding, kind):
        return jax.ShapeDtypeStruct(leaf.shape, kind, sharding=sharding)

    abstract = modules(config).block[1]
    block = jax.tree.map(
        lambda leaf, where: shaped(leaf, where, jnp.dtype(dtype)),
        abstract,
        block_shares(abstract, mesh),
    )
    size = rows * mesh.size
    x = shaped(np.empty((size, length, config.d_model), bool), by_rows(mesh), jnp.float32)
    context = Context(shaped(np.empty((size, length), bool), by_rows(mesh), bool))
    layer = jax.ShapeDtypeStruct((), jnp.int32, sharding=replicated(mesh))
    kind = None if len(config.kinds) == 1 else layer
    passes = [
        run_segment.lower((block, kind), x, context, config=config, mesh=mesh, segment=step.segment)
        for step in PROPAGATIONS["block"].steps
    ]
    flat = flatten_dict(block, sep="/")
    kernels = {path: flat[path] for path in family_of(config).sites}
    whole = replicated(mesh)
    settings, key = Settings(), key_of_seed(0)
    inputs = {}
    for path, leaf in kernels.items():
        norm = jax.ShapeDtypeStruct(leaf.shape[:1], jnp.float32, sharding=whole)
        inputs[path] = Inputs({"demonstrations": norm}, path, layer, key, settings.compat)
    budgets = {path: Budget.of(settings, path, leaf.shape) for path, leaf in kernels.items()}
    selection = prune_compiled.lower(kernels, inputs, budgets, method=settings.method, mesh=mesh)
    return [lowered.compile() for lowered in (*passes, selection)]


def counts(program):
    """(operations, bytes, collectives) of each device."""
    cost = program.cost_analysis()
    return cost["flops"], cost["bytes accessed"], sorted(set(re.findall(KINDS, program.as_text())))


def forced():
    for name in NAMES:
        config = read(name)
        for data, model in ((1, 1), (2, 1), (4, 1), (8, 1), (4, 2), (2, 4), (1, 8)):
            mesh = device_mesh(data, model)
            statistics, forward, selection = map(counts, compiled(config, mesh))
            pieces = 16 // mesh.size  # of 32 samples
            flops = pieces * (statistics[0] + forward[0])
            moved = pieces * (statistics[1] + forward[1])
            print(
                f"{name}, mesh {data} x {model}: a layer of 32 samples, each device {flops / 1e12:.3f} TFLOP and "
                f"{moved / 1e9:.1f} GB in the passes, {selection[1] / 1e9:.2f} GB in the selection; collectives: "
                f"{', '.join(statistics[2] + forward[2] + selection[2]) or 'none'}",
                flush=True,
            )


def topology(target):
    """The chips of a host that is not there."""
    if target.chip == "h100":
        about = Path(__file__).with_name("h100.txtpb").read_text()
        how = {"platform": "cuda", "topology": "1x1x1", "target_config": about}
    else:
        how = {"platform": "tpu"}
    return topologies.get_topology_desc(target.topology, **how).devices


@contextlib.contextmanager
def pretending(devices):
    """Programs are traced as they are where these devices are."""
    from jax._src.cudnn import fused_attention_stablehlo as cudnn  # asks a GPU of which kind it is

    with (
        mock.patch.object(jax, "default_backend", return_value=devices[0].platform),
        mock.patch.object(jax, "local_devices", return_value=list(devices)),
        mock.patch.object(cudnn, "check_compute_capability", return_value=True),
    ):
        yield


def programs(config, target, model=1, **how):
    """What `compiled` gives for all chips of a target's host."""
    there = topology(target)
    with pretending(there):
        return compiled(config, mesh_of(there, model), **how)


def shares(config):
    """What a chip of a v5e-8 holds in the statistics pass, with whole blocks and with quarters."""
    for model in (1, 4):
        statistics, *others = programs(config, TPUS[0], model)
        memory = statistics.memory_analysis()
        found = sorted({kind for program in (statistics, *others) for kind in counts(program)[2]})
        print(
            f"bloom-7b1, v5e-8, mesh {8 // model} x {model}: arguments {memory.argument_size_in_bytes / 1e6:.0f} MB, "
            f"temporaries {memory.temp_size_in_bytes / 1e6:.0f} MB; collectives {', '.join(found) or 'none'}",
            flush=True,
        )


def temporaries(name, target):
    """What a chip holds besides arguments and results in the passes over long rows, and all that against the plan."""
    config, (rows, length) = read(name), LONG
    held = [
        program.memory_analysis() for program in programs(config, target, rows=rows, length=length)
    ]
    found = [memory.temp_size_in_bytes / 1e6 for memory in held[:2]]
    whole = [
        memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
        for memory in held[:2]
    ]
    work = costs.Work(config=config, groups=((rows, length),), dtype="bfloat16")
    machines = costs.Machines(platform=CHIPS[target.chip].platform)
    parts = costs.device_memory(work, machines, rows)
    another = 2 * 4 * rows * length * config.d_model  # the states of a second micro-batch
    predicted = parts["weights"] // 2 + parts["activations"] - another
    print(
        f"{name}, {target.chip}, {rows} x {length} tokens: temporaries {found[0]:.0f} MB (statistics), "
        f"{found[1]:.0f} MB (forward); with arguments and results {max(whole) / 1e9:.2f} GB, "
        f"planned {predicted / 1e9:.2f} GB",
        flush=True,
    )


def operations(config, length):
    """Of the products of the two passes over a micro-batch of a device."""

    def of_layers(count):
        few = dataclasses.replace(config, n_layers=count)
        work = costs.Work(config=few, groups=((ROWS, length),), propagate="dense")
        return operations_of(work)

    statistics = of_layers(1)  # nothing computes the last block's output
    return statistics, of_layers(2) - statistics


def predicted(name, target, length=LENGTH):
    config, chip = read(name), CHIPS[target.chip]
    *passes, selection = programs(config, target, length=length)

    def bytes_of(program):
        return moved(program.as_text()) if target is H100 else counts(program)[1]

    work = costs.Work(
        config=config, groups=((SAMPLES, length),), dtype="bfloat16", stored="bfloat16"
    )
    machines = costs.Machines(target.devices, 1, target.hosts, chip.platform)
    made = plan.planned(work, machines, (chip.memory, None))
    pieces = costs.micro_batches(work, machines, made.samples_per_device)
    times = [
        (flops / chip.flops["bfloat16"], bytes_of(program) / chip.bandwidth)
        for flops, program in zip(operations(config, length), passes, strict=True)
    ]
    # a device ranks its share of the columns
    ranked = sum(costs.kernel_sizes(config).values()) / target.devices
    select = (bytes_of(selection) + MORE_ROUNDS * 4 * ranked) / chip.bandwidth
    floors = floor(made, chip)
    total, apart = (
        max(config.n_layers * (pieces * sum(map(both, times)) + select), floors["link"])
        for both in (max, sum)
    )
    least = max(floors.values())
    device, host = sum(made.device.values()), sum(made.host.values())
    print(
        f"{name} on {target.name}, {SAMPLES} x {length}: device {device / 1e9:.2f} GB, host {host / 1e9:.2f} GB; "
        f"passes {config.n_layers * pieces * sum(map(max, times)):.2f} s, "
        f"selection {config.n_layers * select:.2f} s, link {floors['link']:.2f} s: "
        f"predicted {total:.2f} s, roofline {least:.2f} s ({least / total:.0%}); "
        f"one after another {apart:.2f} s ({least / apart:.0%})",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tpu", action="store_true", help="predictions, with libtpu's compiler")
    parser.add_argument("--gpu", action="store_true", help="predictions, with XLA's for GPUs")
    arguments = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")  # libtpu is a compiler here, and no backend
    jax.config.update("jax_num_cpu_devices", 8)
    os.environ |= NO_TPU
    if arguments.tpu:
        shares(read("bloom-7b1"))
        for name in LONG_NAMES:
            temporaries(name, TPUS[0])
        for name in NAMES:
            for target in TPUS:
                predicted(name, target)
    if arguments.gpu:
        for name in LONG_NAMES:
            temporaries(name, H100)
        for name in NAMES:
            for length in (LENGTH, LONG_LENGTH):
                predicted(name, H100, length)
    if not (arguments.tpu or arguments.gpu):
        forced()


if __name__ == "__main__":
    main()
