"""Operations, bytes and collectives of each device on 1 to 8 devices, and predicted times on accelerators.

    python benchmarks/scaling.py                  # forced CPU devices
    pip install --target TPU --no-deps libtpu     # a compiler for TPUs, which needs no TPU
    PYTHONPATH=TPU python benchmarks/scaling.py --tpu

Nothing is run: passes over a block of BLOOM-7b1's and XGLM-7.5B's shape are compiled from shapes alone. Predicted
time of a layer, for 100 samples of 512 tokens in bfloat16 with propagate=block, with rates of `jaxprune.chips`:

    compute   pieces * sum over passes of max(flops / peak, bytes / bandwidth) + bytes of the selection / bandwidth
    link      (block + states to and fro) / link, in the background
    layer     max(compute, link)

The roofline is `plan.floor`: products at their peak, or the link, whichever is longer. There is no compiler for GPUs
here; the H100 is given the counts of the v5e's programs.
"""

import argparse
import os
import re
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from jax.experimental import topologies
from random_checkpoint import read

from jaxprune.devices import block_shares, by_rows, device_mesh, mesh_of, replicated
from jaxprune.models import family_of, modules
from jaxprune.passes import Context, run_segment
from jaxprune.planning import CHIPS, costs, plan
from jaxprune.pruning import PROPAGATIONS, Settings, select_block

NAMES = ("bloom-7b1", "xglm-7.5b")
ROWS, LENGTH, SAMPLES = 2, 512, 100
KINDS = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast"
# name, chip, topology of one host as libtpu names it, its devices, hosts
TARGETS = (
    ("one H100", "h100", "v5e:2x4", 1, 1),
    ("v5e-8", "v5e", "v5e:2x4", 8, 1),
    ("v5p-32", "v5p", "v5p:2x2x1", 4, 4),
)


HOST_CHIPS = {"v5e:2x4": 8, "v5p:2x2x1": 4}
# so that libtpu does not look for one
NO_TPU = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
}


def compiled(config, mesh, dtype="bfloat16"):
    """The passes of propagate=block and the selection, compiled for a mesh."""

    def shaped(leaf, sharding, kind):
        return jax.ShapeDtypeStruct(leaf.shape, kind, sharding=sharding)

    abstract = modules(config).block[1]
    block = jax.tree.map(
        lambda leaf, where: shaped(leaf, where, jnp.dtype(dtype)),
        abstract,
        block_shares(abstract, mesh),
    )
    size = ROWS * mesh.size
    x = shaped(np.empty((size, LENGTH, config.d_model), bool), by_rows(mesh), jnp.float32)
    context = Context(shaped(np.empty((size, LENGTH), bool), by_rows(mesh), bool))
    layer = jax.ShapeDtypeStruct((), jnp.int32, sharding=replicated(mesh))
    kind = None if len(config.kinds) == 1 else layer
    passes = [
        run_segment.lower((block, kind), x, context, config=config, mesh=mesh, segment=step.segment)
        for step in PROPAGATIONS["block"].steps
    ]
    flat = flatten_dict(block, sep="/")
    kernels = {path: flat[path] for path in family_of(config).sites}
    whole = replicated(mesh)
    norms = {
        path: jax.ShapeDtypeStruct(leaf.shape[:1], jnp.float32, sharding=whole)
        for path, leaf in kernels.items()
    }
    selection = select_block.lower(
        kernels, {"demonstrations": norms}, layer, settings=Settings(), mesh=mesh
    )
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


def tpu_programs(config, topology, model=1):
    """The programs of `compiled` for all chips of a host that is not there."""
    there = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    with mock.patch.object(jax, "default_backend", return_value="tpu"):
        return compiled(config, mesh_of(there, model))


def shares(config):
    """What a chip of a v5e-8 holds in the statistics pass, with whole blocks and with quarters."""
    for model in (1, 4):
        statistics, *others = tpu_programs(config, "v5e:2x4", model)
        memory = statistics.memory_analysis()
        found = sorted({kind for program in (statistics, *others) for kind in counts(program)[2]})
        print(
            f"bloom-7b1, v5e-8, mesh {8 // model} x {model}: arguments {memory.argument_size_in_bytes / 1e6:.0f} MB, "
            f"temporaries {memory.temp_size_in_bytes / 1e6:.0f} MB; collectives {', '.join(found) or 'none'}",
            flush=True,
        )


def predicted(name):
    config = read(name)
    programs = {
        topology: [counts(program) for program in tpu_programs(config, topology)]
        for topology in dict.fromkeys(topology for _, _, topology, _, _ in TARGETS)
    }
    work = costs.Work(
        config=config, groups=((SAMPLES, LENGTH),), dtype="bfloat16", stored="bfloat16"
    )
    for target, kind, topology, devices, hosts in TARGETS:
        chip, (*passes, selection) = CHIPS[kind], programs[topology]
        machines = costs.Machines(devices, 1, hosts, platform="tpu")
        made = plan.planned(work, machines, (chip.memory, None), chip)
        peak = chip.flops["bfloat16"]
        products = costs.micro_batches(work, machines, made.samples_per_device) * sum(
            max(flops / peak, moved / chip.bandwidth) for flops, moved, _ in passes
        )
        # every device ranks its share of the columns; the programs are for all chips of a host
        select = selection[1] / chip.bandwidth * HOST_CHIPS[topology] / devices
        floors = plan.floor(made)
        total, floor = (
            max(config.n_layers * (products + select), floors["link"]),
            max(floors.values()),
        )
        device, host = sum(made.device.values()), sum(made.host.values())
        print(
            f"{name} on {target}: device {device / 1e9:.2f} GB, host {host / 1e9:.2f} GB; passes "
            f"{config.n_layers * products:.2f} s, selection {config.n_layers * select:.2f} s, link "
            f"{floors['link']:.2f} s: predicted {total:.2f} s, roofline {floor:.2f} s ({floor / total:.0%})",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tpu", action="store_true", help="predictions, with libtpu's compiler")
    arguments = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")  # libtpu is a compiler here, and no backend
    jax.config.update("jax_num_cpu_devices", 8)
    if arguments.tpu:
        os.environ |= NO_TPU
        shares(read("bloom-7b1"))
        for name in NAMES:
            predicted(name)
    else:
        forced()


if __name__ == "__main__":
    main()
