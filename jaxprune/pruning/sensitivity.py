"""How much the dense model's predictions depend on each kernel: the divergence that a change of it alone causes."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh
from jaxtyping import Float

from jaxprune.base.progress import progress_bar
from jaxprune.data.batches import Batch, first_samples, set_tokens
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import family_of
from jaxprune.models.trees import BlockParams
from jaxprune.pruning.criterion import CODE
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.stats.blocks import blocks
from jaxprune.stats.finished import put_back
from jaxprune.stats.predictions import Head, divergences, head_of, predict
from jaxprune.stats.states import CalibrationStates, calibration_states, run_and_measure
from jaxprune.stats.statistics import SQUARES
from jaxprune.stats.walk import WHOLE_BLOCK

# Samples on which divergences are measured, at least, their first tokens, and the samples that a device runs at a time.
SAMPLES, LENGTH, AT_ONCE = 4, 256, 1

# Sums of squares of the inputs of each kernel, by path.
Squares = Mapping[str, Float[np.ndarray, " in"]]
# The kernels of a block, by path, and the squares of their inputs, on one device → changed kernels.
Change = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]


def sensitivities(
    model: Model, batches: Sequence[Batch], change: Change, dtype: str, mesh: Mesh, progress: bool
) -> list[dict[str, float]]:
    """The divergence of predictions that the change of a kernel causes, by layer and path.

    One walk over the blocks: a block runs on the states of the dense model, and on those of every model with one
    changed kernel below. A block's changed kernels add one such model each.

    Args:
      batches: samples, of which `SAMPLES` are read, as many of each set; or one of each, or of each process.
      change: called for the blocks in order; kernels that it leaves out have no sensitivity.
      dtype: of the products.

    Returns:
      Mean KL(p‖q) of real tokens in nats, where p is the dense model's distribution of the next token, and q that of
      the model with this kernel changed. See `stats.predictions` for the tokens that are predicted.
    """
    config = model.config_in(dtype)
    few = [_few(batches)]
    dense = calibration_states(model, few, mesh, AT_ONCE, dtype)
    # the states of each model with one changed kernel
    changed: dict[tuple[int, str], list[Any]] = {}
    per_block = len(family_of(config).sites)
    passes = sum(1 + per_block * (layer + 1) for layer in range(config.n_layers))
    with progress_bar("allocate", passes, 0, progress, unit="passes") as bar:
        for layer, (_, params) in enumerate(blocks(model, dtype, mesh)):
            inputs = [*dense.states]
            squares = _squares(params, dense, config, layer)
            bar.update()
            for key, states in changed.items():
                changed[key] = _outputs(params, states, dense, config, layer)
                bar.update()
            for path, kernel in changed_kernels(params, squares, change, mesh).items():
                block = put_back(params, {}, {path: kernel}, dtype)
                changed[layer, path] = _outputs(block, inputs, dense, config, layer)
                bar.update()
    head = head_of(model, few, dtype, mesh)
    predictions = _results(
        dense, dense.states, lambda x: predict(x, head=head, config=config, mesh=mesh)
    )
    result: list[dict[str, float]] = [{} for _ in range(config.n_layers)]
    for (layer, path), states in changed.items():
        result[layer][path] = _mean_divergence(dense, states, predictions, head, config)
    return result


def changed_kernels(
    params: BlockParams, squares: Squares, change: Change, mesh: Mesh
) -> dict[str, np.ndarray]:
    """The changed kernels of a block, on the host. They do not depend on the number of devices."""
    flat = flatten_dict(params, sep="/")
    kernels = {path: flat[path] for path in squares}
    changed: dict[str, np.ndarray] = jax.device_get(
        change(*jax.device_put((kernels, squares), mesh.devices.flat[0]))
    )
    return changed


def _few(batches: Sequence[Batch]) -> Batch:
    """The first tokens of the first samples of each set, code excepted, in one batch."""
    text = [batch for batch in batches if batch.role != CODE] or batches
    count = -(-max(SAMPLES, jax.process_count()) // len(set_tokens(text)))
    few = first_samples(text, count)
    length = min(LENGTH, max(batch.tokens.shape[1] for batch in few))

    def padded(rows: np.ndarray) -> np.ndarray:
        return np.pad(rows[:, :length], ((0, 0), (0, max(0, length - rows.shape[1]))))

    tokens = np.concatenate([padded(batch.tokens) for batch in few])
    valid = np.concatenate([padded(batch.valid) for batch in few])
    return Batch(tokens, valid, few[0].role, np.arange(len(tokens), dtype=np.int32))


def _squares(
    params: BlockParams, states: CalibrationStates, config: ModelConfig, layer: int
) -> Squares:
    """Runs a block; returns the sums of squares of the inputs of each kernel."""
    segment = PROPAGATIONS["dense"].steps[0].segment
    sums = run_and_measure(params, states, segment, (SQUARES,), config, layer)
    by_site = {
        site: np.asarray(sum(sums[key][site][SQUARES.name] for key in states.partition), np.float32)
        for site in segment.measures
    }
    return {path: by_site[site] for path, site in family_of(config).sites.items()}


def _outputs(
    params: BlockParams,
    inputs: Sequence[Any],
    samples: CalibrationStates,
    config: ModelConfig,
    layer: int,
) -> list[Any]:
    """The outputs of a block for other inputs of these samples."""
    states = copy.copy(samples)
    states.states = [*inputs]
    run_and_measure(params, states, WHOLE_BLOCK, (), config, layer)
    return states.states


def _results(
    samples: CalibrationStates, states: Sequence[Any], function: Callable[..., Any]
) -> list[Any]:
    """The results of a function of the states of each micro-batch, on the host."""
    other, results = copy.copy(samples), list[Any]()
    other.states = [*states]
    other.run(lambda state, _: (None, function(state)), results.append)
    return results


def _mean_divergence(
    samples: CalibrationStates,
    states: Sequence[Any],
    predictions: Sequence[Any],
    head: Head,
    config: ModelConfig,
) -> float:
    """The mean over the real tokens of all processes.

    Args:
      states: outputs of the last block of a model.
      predictions: of the dense model.
    """

    def of_tokens(state: Any) -> Any:
        return divergences(*state, head=head, config=config, mesh=samples.mesh)

    parts = [(x, *of_x) for x, of_x in zip(states, predictions, strict=True)]
    rows = [
        np.where(np.asarray(context.valid), values, 0).sum(axis=1, dtype=np.float64)
        for values, context in zip(
            _results(samples, parts, of_tokens), samples.contexts, strict=True
        )
    ]
    return float(samples.gather(rows).sum() / samples.tokens.sum())
