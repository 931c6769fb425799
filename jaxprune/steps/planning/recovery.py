"""The plan of a recovery: memory and operations, from its config, the run to recover and the sizes of the model."""

import math

from jaxprune.base.files.places import local_path
from jaxprune.base.text import byte_size, named_values
from jaxprune.base.workdir.reading import read_report
from jaxprune.data.kinds import KINDS
from jaxprune.hf.weights import size
from jaxprune.models.model import kernel_shapes, load_config
from jaxprune.recovery.config import BLOCK, DISTIL, WINDOW
from jaxprune.recovery.task import step_products, windows_of
from jaxprune.stats.predictions import LEAST, SLICE
from jaxprune.stats.probe import SAMPLES_PER_DEVICE
from jaxprune.steps.configs import RecoverConfig
from jaxprune.steps.planning import costs
from jaxprune.steps.planning.chips import Rented
from jaxprune.steps.planning.costs import Machines, Work, part_size
from jaxprune.steps.planning.plan import (
    blocks_text,
    check_memory,
    groups_of_samples,
    machine_rows,
    machines_of,
    operation_rows,
    sizes_of,
)

# Bytes of a fitted weight on a device: the master, two moments, a gradient, and the sum of gradients.
_FITTED = 5 * 4
# Of a weight on a grid: its value and its gradient; 32 weights share the master and the moments of a scale.
_FITTED_ON_GRID = 2 * 4


def show_recovery_plan(run: RecoverConfig, processes: int, rented: Rented | None) -> None:
    """Prints the plan; every sample counts with length `calibration.max_length`, so it is an upper bound.

    Args:
      run: validated; its `recovery.run` may be a run that is yet to come, of a model with the sizes of the dense one.
      processes, rented: see `plan_from_config`.

    Raises:
      InputError: after the table, the run does not fit.
    """
    config, stored = sizes_of(run)
    folder = local_path(run.recovery.run)
    report = read_report(folder) or {}
    if "shrunk" in report:
        config = load_config(folder / "hf")
    machines, free = machines_of(run.mesh, processes, rented)
    work = Work(
        config=config, groups=groups_of_samples(run), dtype=run.dtype, stored=stored,
        samples=run.calibration.samples if KINDS[run.calibration.kind].reads_text else 0,
    )  # fmt: skip
    fits = windows_of(run.recovery, config.n_layers)
    blocks = max(len(window) for window, _ in fits)
    memory = recovery_memory(work, machines, run, on_grid="quantized" in report)
    rows = {
        "model": f"{run.model}: {blocks_text(config)}",
        "samples": ", ".join(f"{count} x {length}" for count, length in work.groups) + " tokens",
        "windows": f"{len(fits)}, of {blocks} block(s) each, {run.recovery.epochs} epochs at most",
        **machine_rows(machines, memory, free),
        **operation_rows(recovery_operations(work, run), machines, run.dtype, rented),
        "written": byte_size(costs.size_of(stored) * size(config)),
    }
    if run.recovery.minutes is not None:
        rows["minutes"] = f"{run.recovery.minutes:g}, which choose samples and epochs"
    print("\n".join(named_values(rows)))
    less = {
        "fewer recovery.blocks": run.recovery.how != BLOCK and blocks > 1,
        f"recovery.how={WINDOW}": run.recovery.how == DISTIL,
        "mesh.data=1": machines.cpu and machines.devices > 1,
        "fewer calibration.samples": free[0] is None or sum(memory[0].values()) <= free[0],
    }
    check_memory(memory, free, less)


def recovery_memory(
    work: Work, machines: Machines, run: RecoverConfig, *, on_grid: bool
) -> tuple[dict[str, int], dict[str, int]]:
    """Peak bytes of a device, and of a process, by part; on CPUs the process includes its devices.

    Args:
      on_grid: whether the model is quantized, so that scales are fitted.

    Returns:
      of a device "fitted": masters, moments and gradients of the blocks of a fit; "masks": of their kernels, or levels;
        "activations": the products that gradients need, and those of one block; with `distil` "above": all
        blocks as stored, if a fit has some of them; "head": the rows of the predicted tokens and their logits.
      of a process "process"; "states": of the dense and the recovered blocks, or targets of all tokens; "blocks": the
        fitted ones as stored and the best ones so far.
    """
    config, fields = work.config, run.recovery
    blocks = max(len(window) for window, _ in windows_of(fields, config.n_layers))
    weights = blocks * part_size(config, "blocks")
    rows = math.gcd(SAMPLES_PER_DEVICE, fields.batch)
    length = max(length for _, length in work.groups)
    outputs = sum(shape[1] for shape in kernel_shapes(config).values())
    of_a_pass = sum(
        costs.device_memory(work, machines, rows)[part] for part in ("activations", "weights")
    )
    distils = fields.how == DISTIL
    predicted = min(config.vocab_size, max(LEAST, sum(n * t for n, t in work.groups) // 4))
    above = distils * (blocks < config.n_layers) * config.n_layers
    device = {
        "fitted": (_FITTED_ON_GRID if on_grid else _FITTED) * weights,
        "masks": weights,
        "above": above * part_size(config, "blocks") * costs.size_of(work.stored),
        "activations": 4 * rows * length * ((blocks + above) * outputs + 3 * config.d_model)
        + 2 * of_a_pass,
        "head": distils * 4 * (predicted * config.d_model + 2 * rows * length * SLICE),
    }
    tokens = sum(count * length for count, length in work.groups)
    kept = 4 if distils else 2
    host = {
        "process": costs.PROCESS
        + bool(work.samples) * (costs.TOKENIZER + costs.TOKEN * config.vocab_size),
        "states": 4 * kept * tokens * config.d_model,
        "blocks": weights * (costs.size_of(work.stored) + 4) + 2 * part_size(config, "blocks") * 4,
    }
    if machines.cpu:
        host["devices"] = machines.devices * sum(device.values())
    host["kept"] = int(costs.KEPT * (sum(host.values()) - host["process"]))
    return device, host


def recovery_operations(work: Work, run: RecoverConfig) -> int:
    """Operations of the products with kernels: passes of the dense and the recovered blocks, and the steps of fits."""
    config, fields = work.config, run.recovery
    kernels = sum(costs.kernel_sizes(config).values())
    tokens = sum(count * length for count, length in work.groups)
    products = step_products(fields, config.n_layers)
    passes = (1 if len(products) == 1 else 2) * config.n_layers
    operations = 2 * (passes + fields.epochs * (1 - fields.held_out) * sum(products))
    head = 0
    if fields.how == DISTIL:
        predicted = min(config.vocab_size, LEAST)
        head = 2 * predicted * config.d_model * (1 + 2 * fields.epochs * len(products))
    return int(tokens * (kernels * operations + head))
