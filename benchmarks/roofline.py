"""Operations of pruning, and the least time that they take at published rates."""

import collections

from jaxprune.models.config import ModelConfig
from jaxprune.models.model import kernel_shapes, site_widths
from jaxprune.stats.inverse_factor import BLOCK
from jaxprune.steps.planning import costs
from jaxprune.steps.planning.chips import Chip
from jaxprune.steps.planning.costs import Work
from jaxprune.steps.planning.plan import Plan


def flops(work: Work) -> int:
    """Operations of the products in all passes over all samples; of attention only causal pairs within windows.

    A statistics pass omits a block's last product, and no pass but that of an allocation computes the last block's
    output. Passes that are repeated by site are not counted.
    """
    config = work.config
    kernels = sum(costs.kernel_sizes(config).values())
    last = config.d_ff * config.d_model
    windows: collections.Counter[int | None] = collections.Counter()
    period = len(config.pattern)
    for place, kind in enumerate(config.pattern):  # a config may have any number of layers
        windows[config.kinds[kind].window] += len(range(place, config.n_layers, period))
    final = config.kind(config.n_layers - 1).window
    passes = 2 if work.propagate == "block" else 1  # but one through the last layer
    total = 0
    for count, length in work.groups:
        products, skipped = (2 * count * length * size for size in (kernels, last))
        total += (config.n_layers - 1) * (passes * products - (passes - 1) * skipped)
        total += products - skipped + work.allocates * config.n_layers * products
        for window, layers in windows.items():
            times = (passes + work.allocates) * layers - (passes - 1) * (window == final)
            total += times * _attention(config, count, length, window)
    if work.gram:
        total += config.n_layers * _second_order(work)
    return total


def _second_order(work: Work) -> int:
    """Operations of one layer for Gram matrices, their factors, and the updates of kernels."""
    widths = site_widths(work.config).values()
    tokens = sum(count * length for count, length in work.groups)
    # the factor by halves: four products of (D/2)³ multiplications, and the same of each half
    measured = sum(2 * tokens * width**2 + 4 * width**3 // 3 for width in widths)
    kernels = kernel_shapes(work.config).values()
    return measured + sum(2 * rows * (rows + BLOCK) * out for rows, out in kernels)


def _attention(config: ModelConfig, count: int, length: int, window: int | None) -> int:
    """Operations of attention's two products in one layer."""
    seen = length if window is None else min(window, length)
    pairs = 2 * seen * length - seen * seen  # twice the number of visible pairs of query and key
    return 2 * count * pairs * config.n_heads * config.head_dim


def floor(plan: Plan, chip: Chip) -> dict[str, float]:
    """Seconds at the chip's published rates: for products, for reading weights from the device's memory, for the link.

    They can overlap, so the longest is a lower bound for a run.
    """
    work, machines = plan.work, plan.machines
    config, every = work.config, machines.devices * machines.processes
    block = costs.part_size(config, "blocks") * costs.size_of(work.dtype)
    passes = (2 if work.propagate == "block" else 1) + work.allocates
    turns = costs.micro_batches(work, machines, plan.samples_per_device)
    width = sum(site_widths(config).values()) if work.propagate == "site" else 0
    tokens = sum(count * length for count, length in work.groups) / every
    states = 2 * 4 * tokens * (config.d_model + width)
    return {
        "products": flops(work) / every / chip.flops[work.dtype],
        "weights": config.n_layers * passes * turns * block / chip.bandwidth,
        "link": config.n_layers * (block / machines.model + states) / chip.link,
    }
