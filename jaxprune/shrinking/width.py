"""A model and samples by language → MLPs with fewer neurons, whose last kernels compensate for the dropped ones.

A neuron matters to a language by its share of Σ_n ‖h_n‖ Σ_out |W_n,out|, with the norms of the inputs h of the last
kernel W (Wanda, by row). It is as important as in the language to which it matters most. With the Gram matrix
G = Σ h hᵀ over tokens, the rows S that are kept change by (G_SS + damping)⁻¹ G_SR W_R, the least squares fit of their
outputs to those of all rows.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, Int

from jaxprune.base.errors import InputError
from jaxprune.base.progress import progress_bar
from jaxprune.devices.compiled import compiled
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.aligned import aligned_cast
from jaxprune.hf.model import Model
from jaxprune.models.block import SITES
from jaxprune.models.trees import BlockParams
from jaxprune.shrinking.choose import Samples
from jaxprune.stats.blocks import blocks
from jaxprune.stats.finished import put_back
from jaxprune.stats.inverse_factor import inverse_factor
from jaxprune.stats.probe import SAMPLES_PER_DEVICE
from jaxprune.stats.states import calibration_states, run_and_measure
from jaxprune.stats.statistics import SQUARES, STATISTICS
from jaxprune.stats.walk import INPUT, OUTPUT, Segment

_SITE, _KERNEL = "mlp_out", "mlp/out/kernel"
_TO_NEURONS = Segment(start=INPUT, stop=len(SITES), measures=(_SITE,))
_FROM_NEURONS = Segment(start=len(SITES), stop=OUTPUT)

STATISTICS_OF_NEURONS = (SQUARES, STATISTICS["gram"])


class Narrow(NamedTuple):
    """A block with fewer neurons.

    Attributes:
      params: parameters of the block, as stored.
      shares: language → share of the sum over neurons that those of the block have.
      damping: damping of the Gram matrix, at least 0.01.
    """

    params: BlockParams
    shares: Mapping[str, float]
    damping: float


def narrow_blocks(
    model: Model, samples: Samples, neurons: int, *, progress: bool = True
) -> Iterator[Narrow]:
    """The blocks with `neurons` neurons each, in order; the inputs of a block are outputs of the narrow ones below.

    Raises:
      InputError: the Gram matrix of a block has no Cholesky factor, even with more damping.
    """
    batches, mixture, dtype = samples
    mesh, config = device_mesh(), model.config_in(dtype)
    states = calibration_states(
        model, batches, mesh, SAMPLES_PER_DEVICE, dtype, STATISTICS_OF_NEURONS, mixture
    )
    tokens = sum(states.counts().values())
    with progress_bar("narrow", config.n_layers, 0, progress) as bar:
        for layer, (host, params) in enumerate(blocks(model, dtype, mesh)):
            sums = run_and_measure(
                params, states, _TO_NEURONS, STATISTICS_OF_NEURONS, config, layer
            )
            kernel = flatten_dict(host, sep="/")[_KERNEL].astype(np.float32)
            influence = {
                key.language or key.kind: _shares(kernel, sums[key][_SITE][SQUARES.name])
                for key in states.partition
            }
            kept = most_important(np.stack([*influence.values()]), neurons)
            gram = sum(sums[key][_SITE]["gram"] for key in states.running)
            dropped = np.setdiff1d(np.arange(len(kernel)), kept)
            rows, damping = refitted(gram, np.float32(tokens), kernel, kept, dropped)
            if not np.isfinite(damping):
                raise InputError(
                    f"layer {layer}: the Gram matrix of the neurons has no Cholesky factor, even with damping; "
                    "use more calibration samples for shrink.mlp"
                )
            narrow = _cut(host, kept, np.asarray(rows))
            if layer + 1 < config.n_layers:
                new = np.zeros_like(kernel)
                new[kept] = flatten_dict(narrow, sep="/")[_KERNEL]
                params = put_back(params, {}, {_KERNEL: new}, dtype)
                run_and_measure(params, states, _FROM_NEURONS, (), config, layer)
            shares = {code: float(share[kept].sum()) for code, share in influence.items()}
            yield Narrow(narrow, shares, float(damping))
            bar.update()


def most_important(
    influence: Float[np.ndarray, "languages F"], neurons: int
) -> Int[np.ndarray, " K"]:
    """The neurons of the largest influence on a language, in their order."""
    largest = influence.max(axis=0)
    return np.sort(np.argsort(-largest, kind="stable")[:neurons])


@compiled
def refitted(
    gram: Float[Array, "F F"],
    tokens: Float[Array, ""],
    kernel: Float[Array, "F D"],
    kept: Int[Array, " K"],
    dropped: Int[Array, " R"],
) -> tuple[Float[Array, "K D"], Float[Array, ""]]:
    """The kept rows of a kernel, refitted to compensate for the dropped ones, and the damping.

    Args:
      gram: Σ h hᵀ over `tokens`.
    """
    with jax.default_matmul_precision("float32"):
        root, damping = inverse_factor(gram[kept][:, kept], tokens)
        missing = gram[kept][:, dropped] @ kernel[dropped] * (2 / tokens)
        return kernel[kept] + root.T @ (root @ missing), damping


def _shares(kernel: np.ndarray, squares: np.ndarray) -> Float[np.ndarray, " F"]:
    score = np.sqrt(squares, dtype=np.float64) * np.abs(kernel).sum(axis=1, dtype=np.float64)
    return score / score.sum()


def _cut(host: BlockParams, kept: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    """A block with some of its neurons, in the stored dtypes."""
    flat = flatten_dict(dict(host), sep="/")
    d_ff = len(flat[_KERNEL])
    for path, leaf in flat.items():
        if path == _KERNEL:
            flat[path] = aligned_cast(rows, leaf.dtype)
        elif path.startswith("mlp/") and path != "mlp/out/bias" and leaf.shape[-1:] == (d_ff,):
            flat[path] = np.ascontiguousarray(leaf[..., kept])
    return unflatten_dict(flat, sep="/")
