"""The plans of five jobs on models with 7 and 8 billion parameters, on four kinds of machines, as a table in Markdown.

    python benchmarks/large_models.py

Nothing is run. Memory is that of `--plan`. Seconds are the longest of the products, of reading weights and of the link
to the host, at published rates (benchmarks/roofline.py); on this machine's cores those of the products, at the rate of
a large product in float32. Recoveries fit as many blocks at a time as there is memory for, at most four, on cores with
`mesh.data=1`, as every device has its own copy of them.
"""

import dataclasses

from roofline import floor

from jaxprune.devices.sharding import device_mesh, one_cpu_device_per_core
from jaxprune.models.published import published
from jaxprune.search.packing.plan import product_rate
from jaxprune.steps.configs import PruneConfig, QuantizeConfig, RecoverConfig
from jaxprune.steps.planning.checked import config_of
from jaxprune.steps.planning.chips import rented
from jaxprune.steps.planning.costs import Work, operations
from jaxprune.steps.planning.plan import groups_of_samples, machines_of, plan_from_config
from jaxprune.steps.planning.recovery import recovery_memory, recovery_operations

MODELS = ("meta-llama/Llama-2-7b-hf", "bigscience/bloom-7b1", "Qwen/Qwen3-8B")
MACHINES = ("h100", "l4", "v5e-8", "cores")
SAMPLES = {"calibration.samples": 128, "calibration.max_length": 512}
JOBS = {
    "Wanda": (PruneConfig, {}),
    "SparseGPT": (PruneConfig, {"pruning.criterion": "sparsegpt", "pruning.propagate": "site"}),
    "GPTQ, Q4_0": (QuantizeConfig, {"quantize.how": "gptq"}),
}
RECOVERIES = {"recovery, windows": "window", "recovery, distil": "distil"}


def cell(needed, available, seconds, limit):
    """Memory of a device or of the host, the least time, and the limit."""
    fits = "" if available is None or needed <= available else ", too large"
    return f"{needed / 1e9:.1f} GB{fits}, {time_text(seconds)} ({limit})"


def time_text(seconds):
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def planned(record, fields, machine, rate):
    """The cell of a job that walks over blocks."""
    config = config_of(fields, record)
    if machine == "cores":
        plan = plan_from_config(config)
        seconds = operations(plan.work) / rate
        return cell(sum(plan.host.values()), plan.room[1], seconds, "products")
    machines = rented(machine)
    plan = plan_from_config(config, rented=machines)
    limits = floor(plan, machines.chip)
    limit = max(limits, key=limits.get)
    return cell(sum(plan.device.values()), machines.chip.room, limits[limit], limit)


def recovered(fields, how, machine, rate):
    """The cell of a recovery by "window" or "distil"."""
    fields = {**fields, "recovery.run": "PRUNED", "recovery.how": how}
    if machine == "cores":
        fields |= {"mesh.data": 1}
    config = config_of(fields, RecoverConfig)
    sizes, stored = published(config.model)
    work = Work(config=sizes, groups=groups_of_samples(config), dtype=config.dtype, stored=stored)
    kind = None if machine == "cores" else rented(machine)
    machines, free = machines_of(config.mesh, rented=kind)
    available = free[kind is None]
    if kind is not None:
        rate = machines.devices * machines.processes * kind.chip.flops[config.dtype]
    for blocks in (4, 3, 2, 1):
        recovery = dataclasses.replace(config.recovery, blocks=blocks)
        run = dataclasses.replace(config, recovery=recovery)
        needed = sum(recovery_memory(work, machines, run)[kind is None].values())
        if needed <= available:
            break
    text = cell(needed, available, recovery_operations(work, run) / rate, "products")
    return f"{blocks} block{'s' * (blocks > 1)}: {text}"


def main():
    """Prints the table."""
    one_cpu_device_per_core()
    rate = product_rate()
    names = {
        "h100": "one H100",
        "l4": "one L4",
        "v5e-8": "v5e-8",
        "cores": f"{device_mesh().size} cores",
    }
    print("| model | job | " + " | ".join(names.values()) + " |")
    print("| --- " * (2 + len(names)) + "|")
    for model in MODELS:
        for job in (*JOBS, *RECOVERIES):
            cells = []
            for machine in MACHINES:
                # CPUs compute in float32 where they have no instructions for bfloat16
                dtype = "float32" if machine == "cores" else "bfloat16"
                fields = {"model": model, "dtype": dtype, **SAMPLES}
                if job in JOBS:
                    record, own = JOBS[job]
                    cells.append(planned(record, {**fields, **own}, machine, rate))
                else:
                    cells.append(recovered(fields, RECOVERIES[job], machine, rate))
            print(f"| {model.partition('/')[2]} | {job} | " + " | ".join(cells) + " |")
    print(f"\ncores: {rate / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
