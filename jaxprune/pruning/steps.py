"""One block through the steps of a propagation: measure, prune, recover, and on to the next block's input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict

from jaxprune.calibration import SetKey
from jaxprune.models import BlockParams, ModelConfig
from jaxprune.passes import STATISTICS, WHOLE_BLOCK, CalibrationStates, Sums, run_and_measure
from jaxprune.progress import Clock
from jaxprune.pruning.block import Changes, kernels, put_back
from jaxprune.pruning.finished import FinishedLayer
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.recovery import PrunedAndDense, Recover, dense_outputs, recovered, runner
from jaxprune.pruning.settings import Settings


class Unpruned(NamedTuple):
    """A block that is about to be pruned: its parameters on host and devices, and what is known or to be done of it."""

    layer: int
    host: BlockParams
    params: BlockParams
    known: FinishedLayer | None
    prune_sites: Callable[..., Changes]


def pass_through(
    block: Unpruned,
    states: CalibrationStates,
    settings: Settings,
    config: ModelConfig,
    clock: Clock,
    recover: Recover | None,
) -> FinishedLayer:
    """One block through all steps of the chosen propagation; leaves its output in `states`."""
    layer, known, params = block.layer, block.known, block.params
    is_last = layer + 1 == config.n_layers
    inputs, targets = [*states.states], []
    sums: dict[SetKey, dict[str, Any]] = {}
    keep: dict[str, np.ndarray] = {}
    changed: dict[str, np.ndarray] = {}
    if recover is not None and known is None:
        targets = dense_outputs(params, states, config, layer)
        clock.lap("recover")
    for step in PROPAGATIONS[settings.propagate].steps:
        if is_last and not step.segment.collect:
            break  # nothing reads the output of the last block
        if known is None or step.segment.advance:
            measured = run_and_measure(
                params, states, step.segment, settings.method.statistics, config, layer
            )
            clock.lap("statistics" if step.segment.collect else "forward")
            for key, sites in measured.items():
                sums.setdefault(key, {}).update(sites)
        if step.prunes:
            if known is None:
                selected = block.prune_sites(params=params, sums=sums, sites=step.prunes)
            else:
                paths = kernels(config, step.prunes)
                parts = ({p: part[p] for p in paths if p in part} for part in known[:2])
                selected = Changes(*parts)
            keep, changed = keep | selected.keep, changed | selected.changed
            params = put_back(params, selected, settings.dtype)
            clock.lap("select")
    if recover is not None:
        if known is not None:
            new = known.changed
        else:
            run = runner(states, config, layer)
            pruned = PrunedAndDense(layer, params, keep, inputs, targets, states.contexts, run)
            new = recovered(recover, pruned, block.host)
        changed |= new
        # the pass above was not of the recovered block
        if settings.propagate != "dense" and not is_last:
            states.states = inputs
            params = put_back(params, Changes({}, new), settings.dtype)
            run_and_measure(params, states, WHOLE_BLOCK, (), config, layer)
        clock.lap("recover")
    return known or FinishedLayer(keep, changed, _persisted(sums))


def _persisted(sums: Sums) -> Sums:
    """Those that are saved with a layer; nothing where no statistic is."""
    kept = {
        key: {
            site: {name: total for name, total in by_name.items() if STATISTICS[name].persisted}
            for site, by_name in sites.items()
        }
        for key, sites in sums.items()
    }
    return kept if any(flatten_dict(kept)) else {}
