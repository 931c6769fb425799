"""Recovery within the loop: a pruned block, its inputs, and the dense block's outputs for them."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import Array, Float

from jaxprune.errors import InputError
from jaxprune.models import BlockParams, ModelConfig, layer_kind
from jaxprune.passes import WHOLE_BLOCK, CalibrationStates, Context, run_segment


@dataclasses.dataclass(frozen=True)
class PrunedAndDense:
    """A pruned block, its inputs and the outputs of the dense block, for this process's share of the samples.

    Attributes:
      layer: index of the block.
      params: of the pruned block, on the devices.
      keep: kernel path → bool [in, out], True = kept; other weights stay 0 whatever recovery returns.
      inputs: of the block, [B, T, D] for each micro-batch, from the blocks below as `propagate` defines.
      targets: outputs of the dense block for them, on the host.
      contexts: of the micro-batches; `valid` [B, T] is True at real tokens, False at pads.
      run: (params, input, context) → output [B, T, D], each device on its own rows.
    """

    layer: int
    params: BlockParams
    keep: Mapping[str, np.ndarray]
    inputs: Sequence[Float[Array | np.ndarray, "B T D"]]
    targets: Sequence[Float[np.ndarray, "B T D"]]
    contexts: Sequence[Context]
    run: Callable[[BlockParams, Any, Context], Float[Array, "B T D"]]


# Returns new values of some parameters, by path within the block; equal in all processes.
Recover = Callable[[PrunedAndDense], Mapping[str, np.ndarray]]


def runner(
    states: CalibrationStates, config: ModelConfig, layer: int
) -> Callable[[BlockParams, Any, Context], Float[Array, "B T D"]]:
    """(parameters of this block, its input, context) → its output."""
    run = functools.partial(run_segment, config=config, mesh=states.mesh, segment=WHOLE_BLOCK)
    kind = layer_kind(config, layer)
    return lambda params, state, context: run((params, kind), state, context)[0]


def recovered(
    recover: Recover, block: PrunedAndDense, stored: BlockParams
) -> dict[str, np.ndarray]:
    """The parameters that recovery changed, in the dtypes of the stored block, dropped weights +0.

    Raises:
      InputError: an unknown path, another shape, or a value that is not finite.
    """
    flat, changed = flatten_dict(dict(stored), sep="/"), {}
    for path, leaf in recover(block).items():
        where = f"recovery: layer {block.layer}, {path}"
        if path not in flat or np.shape(leaf) != flat[path].shape:
            raise InputError(
                f"{where}: got shape {np.shape(leaf)}; allowed: parameters of the block"
            )
        kept = np.where(block.keep.get(path, True), leaf, 0)
        if not np.isfinite(kept).all():
            raise InputError(f"{where}: a value is not finite")
        changed[path] = kept.astype(flat[path].dtype)
    return changed
