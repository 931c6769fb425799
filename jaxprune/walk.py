"""The pass over blocks: samples in micro-batches of fixed shapes, one block's weights on the devices at a time."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float

from jaxprune.batching import Batch
from jaxprune.models import SITES, ModelConfig, modules
from jaxprune.sharding import DATA, by_rows

# Positions in a block: its input, the input of each site in turn, its output.
INPUT, OUTPUT = 0, len(SITES) + 1


@dataclasses.dataclass(frozen=True)
class Segment:
    """A stretch of a block, from one position to another, and what is wanted of it.

    `collect`: sums of squares of the sites reached. `advance`: the state at `stop`; without it the
    products that only the state needs are never computed.
    """

    start: int
    stop: int
    collect: bool
    advance: bool


class MicroBatches:
    """All samples as device-sized pieces with their states (hidden activations) between two segments.

    A piece holds `rows` samples a device; which samples share a device's piece does not depend on the
    number of devices, so neither do the bits of any result. Rows that fill up the last piece are pads.
    """

    def __init__(self, batches: Sequence[Batch], mesh: Mesh, rows: int) -> None:
        self.mesh = mesh
        self.valid: list[Array] = []
        self.states: list[Any] = []  # one pytree a piece
        self.samples: list[np.ndarray] = []  # [rows · devices], -1 for a fill row
        self.roles: list[str] = []
        step = rows * mesh.size
        for batch in batches:
            for start in range(0, len(batch.tokens), step):
                cut = slice(start, start + step)
                fill = ((0, step - len(batch.tokens[cut])), (0, 0))
                self.states.append(np.pad(batch.tokens[cut], fill))
                self.valid.append(jax.device_put(np.pad(batch.valid[cut], fill), by_rows(mesh)))
                self.samples.append(np.pad(batch.samples[cut], fill[0], constant_values=-1))
                self.roles.append(batch.role)

    def run(self, step: Callable[[Any, Array], tuple[Any, Any]]) -> list[Any]:
        """Feeds every piece through `step(state, valid) -> (state or None, result)`; the results, on the host.

        One piece is dispatched while its predecessor runs, so that the devices hold two at most.
        """
        offload = self.mesh.devices.flat[0].platform != "cpu"
        results: list[Any] = []
        for i, valid in enumerate(self.valid):
            state, result = step(jax.device_put(self.states[i], by_rows(self.mesh)), valid)
            results.append(result)
            if state is not None:
                self.states[i] = state
            if i:
                self._settle(i - 1, results, offload)
        self._settle(-1, results, offload)
        return jax.device_get(results)

    def _settle(self, i: int, results: list[Any], offload: bool) -> None:
        """Waits for piece i; off CPUs, whose memory is the host's, moves its state to the host."""
        if offload:
            self.states[i] = jax.device_get(self.states[i])
        jax.block_until_ready((self.states[i], results[i]))


def embed(config: ModelConfig, params: Any, batches: MicroBatches) -> None:
    """Turns tokens, the first state of every piece, into the input of the first block."""
    batches.run(lambda tokens, _: (_embed(params, tokens, config, batches.mesh), None))


@functools.partial(jax.jit, static_argnames=("config", "mesh"))
def _embed(params: Any, tokens: Array, config: ModelConfig, mesh: Mesh) -> Array:
    graph, _ = modules(config).embed
    rows = PartitionSpec(DATA)
    call = jax.shard_map(
        lambda params, tokens: nnx.merge(graph, params)(tokens),
        mesh=mesh,
        in_specs=(PartitionSpec(), rows),
        out_specs=rows,
    )
    return call(params, tokens)


@functools.partial(jax.jit, static_argnames=("config", "mesh", "segment"))
def run_segment(
    params: Any, state: Any, valid: Array, *, config: ModelConfig, mesh: Mesh, segment: Segment
) -> tuple[Any, dict[str, Array]]:
    """One piece through one segment of one block, each device on its own rows.

    Args:
      params: of the block, whole on every device.
      state: at `segment.start`: the block's input [B, T, D], or (residual, site input).
      valid: [B, T] bool.

    Returns:
      The state at `segment.stop` (None without `advance`), and sums of squares over the real tokens of
      every sample, float32 [B, D_site], of each site reached (with `collect`).
    """
    rows = PartitionSpec(DATA)
    call = jax.shard_map(
        functools.partial(_segment, config, segment),
        mesh=mesh,
        in_specs=(PartitionSpec(), rows, rows),
        out_specs=(rows, rows),
    )
    return call(params, state, valid)


def _segment(
    config: ModelConfig, segment: Segment, params: Any, state: Any, valid: Array
) -> tuple[Any, dict[str, Array]]:
    graph, _ = modules(config).block
    block = nnx.merge(graph, params)
    dtype = jax.tree.leaves(params["mlp"]["out"]["kernel"])[0].dtype
    sums = {}
    for position in range(segment.start, segment.stop):
        if position == INPUT:
            residual, u = block.enter(state)
        else:
            residual, u = block.leave(SITES[position - 1], *state)
        if position + 1 == OUTPUT:
            state = residual
            break
        u = u.astype(dtype)  # what the kernels meet, so what is measured
        state = (residual, u)
        if segment.collect:
            sums[SITES[position]] = sum_of_squares(u, valid)
    return (state if segment.advance else None), sums


def sum_of_squares(u: Float[Array, "B T D"], valid: Bool[Array, "B T"]) -> Float[Array, "B D"]:
    """Σ_t u² over real tokens, float32; whatever pads hold, NaN too, does not count."""
    kept = jnp.where(valid[..., None], u, 0).astype(jnp.float32)
    return jnp.sum(jnp.square(kept), axis=1)


def prefetch(read: Callable[[int], Any], count: int) -> Iterator[Any]:
    """read(0), read(1), …, each read on a thread while its predecessor is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
        following: Future[Any] = pool.submit(read, 0)
        for i in range(count):
            current = following.result()
            if i + 1 < count:
                following = pool.submit(read, i + 1)
            yield current
