"""One block through the steps of a propagation: measure, prune, compute the next block's input."""

from collections.abc import Callable
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.base.progress import Clock
from jaxprune.data.batches import SetKey
from jaxprune.models.grids.grid import Weight
from jaxprune.models.trees import BlockParams
from jaxprune.pruning.block import BlockPruning, PrunedKernels, kernels
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.stats.finished import FinishedLayer, put_back
from jaxprune.stats.states import CalibrationStates, run_and_measure
from jaxprune.stats.statistics import STATISTICS
from jaxprune.stats.stats import Sums


def pass_through(
    block: BlockPruning,
    params: BlockParams,
    earlier: FinishedLayer | None,
    prune_sites: Callable[..., PrunedKernels],
    states: CalibrationStates,
    clock: Clock,
) -> FinishedLayer:
    """Runs one block through all steps of the propagation.

    Args:
      params: the block on the devices.
      earlier: the result of an earlier run, or None.
      prune_sites: `prune_kernels` of this block, a function of `params`, `sums` and `sites`.
      states: the inputs of the block; afterwards its outputs.
    """
    settings, config = block.settings, block.config
    is_last = block.layer + 1 == config.n_layers
    sums: dict[SetKey, dict[str, Any]] = {}
    keep, changed = dict[str, np.ndarray](), dict[str, Weight]()
    damping: dict[str, float] = {}
    errors: dict[str, float] = {}
    for step in PROPAGATIONS[settings.propagate].steps:
        if is_last and not step.segment.measures:
            break  # nothing reads the output of the last block
        if earlier is None or step.segment.advance:
            measured = run_and_measure(
                params, states, step.segment, settings.method.statistics, config, block.layer
            )
            clock.lap("statistics" if step.segment.measures else "forward")
            for key, sites in measured.items():
                for site, by_name in sites.items():
                    sums.setdefault(key, {}).setdefault(site, {}).update(by_name)
        if step.prunes:
            if earlier is None:
                masks, new, raised, measured_errors = prune_sites(
                    params=params, sums=sums, sites=step.prunes
                )
                damping |= raised
                errors |= measured_errors
            else:
                paths = kernels(config, step.prunes)
                masks = {path: earlier.keep[path] for path in paths if path in earlier.keep}
                new = {path: earlier.changed[path] for path in paths if path in earlier.changed}
            keep |= masks
            changed |= new
            params = put_back(params, masks, new, settings.dtype)
            clock.lap("select")
    return earlier or FinishedLayer(keep, changed, _persisted(sums), damping, errors=errors)


def _persisted(sums: Sums) -> dict[SetKey, dict[str, Any]]:
    """The sums that are saved with a layer."""
    flat = flatten_dict(dict(sums))
    kept = {path: total for path, total in flat.items() if STATISTICS[path[-1]].persisted}
    persisted: dict[SetKey, dict[str, Any]] = unflatten_dict(kept)
    return persisted
