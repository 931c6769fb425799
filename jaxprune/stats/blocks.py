"""Blocks from disk to the devices, the next one prefetched."""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxprune.base.schema import choice
from jaxprune.devices.products import product_dtype
from jaxprune.devices.sharding import block_shares, replicated
from jaxprune.hf.aligned import aligned_cast
from jaxprune.hf.model import Model
from jaxprune.models.trees import Params

# The dtype of the weights on the devices; statistics are always float32.
DTYPE = choice(
    ("float32", "bfloat16"),
    "float32",
    "of the weights on the devices and of the inputs of their products; CPUs that multiply float32 faster store "
    "and multiply the rounded numbers as float32",
)


def blocks(
    model: Model, dtype: str, mesh: Mesh, layers: range | None = None
) -> Iterator[tuple[dict[str, Any], Any]]:
    """Blocks, by default all, in order: on the host as stored, and on the devices.

    Each of several processes reads its share of a block's bytes; all must iterate over the same blocks.
    """

    def finish(layer: int, share: Any) -> tuple[dict[str, Any], Any]:
        host = model.source.joined("blocks", share, layer)
        return host, jax.device_put(converted(host, dtype), block_shares(host, mesh))

    layers = range(model.config.n_layers) if layers is None else layers
    return prefetch(functools.partial(model.source.share, "blocks"), finish, layers)


def prefetch(
    read: Callable[[int], Any], finish: Callable[[int, Any], Any], numbers: range
) -> Iterator[Any]:
    """finish(i, read(i)) for each number: a thread reads the next one while the caller uses the current one.

    A single process also calls `finish` on the thread. With several processes `finish` communicates, in an order that
    all must share, so it runs on the caller's thread.
    """
    alone = jax.process_count() == 1

    def ahead(i: int) -> Any:
        share = read(i)
        return finish(i, share) if alone else share

    with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
        following: Future[Any] | None = None
        for i in numbers:
            current = (following or pool.submit(ahead, i)).result()
            following = pool.submit(ahead, i + 1) if i + 1 in numbers else None
            yield current if alone else finish(i, current)


def to_device(params: Params | np.ndarray, dtype: str, mesh: Mesh) -> Any:
    """Parameters in `dtype`, replicated on every device of the mesh."""
    return jax.device_put(converted(params, dtype), replicated(mesh))


def converted(params: Params | np.ndarray, dtype: str) -> Any:
    """Parameters as stored on the devices: rounded to `dtype`, in the dtype of their products, C-contiguous."""
    rounded, stored = jax.numpy.dtype(dtype), jax.numpy.dtype(product_dtype(dtype))
    return jax.tree.map(lambda leaf: aligned_cast(aligned_cast(leaf, rounded), stored), params)
