"""The pass over blocks: micro-batches through segments of blocks, one block's weights on the devices at a time."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.experimental.layout import Layout, with_layout_constraint
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from jaxprune.devices.compiled import compiled
from jaxprune.devices.sharding import (
    MODEL,
    WHOLE,
    block_specs,
    compiled_by_rows,
    on_own_rows,
    whole,
)
from jaxprune.models.attention.platform import platform
from jaxprune.models.block import SITES
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import family_of, modules
from jaxprune.models.positions import Kind, Positions
from jaxprune.models.trees import BlockParams, EmbedParams
from jaxprune.stats.micro_batches import Context, MicroBatches
from jaxprune.stats.running import Buffers, add_rows
from jaxprune.stats.statistics import POSITIVE, SQUARES
from jaxprune.stats.statistics.statistic import RUNNING, Statistic

# Positions in a block: its input, the input of each site in turn, its output.
INPUT, OUTPUT = 0, len(SITES) + 1

# The site that no kernel reads: the output of a block, which the analysis measures.
HIDDEN = "hidden"

# The activations inside an MLP, which no kernel reads either, as a gated MLP multiplies them by those of `up`.
NEURONS = "neurons"

# Tokens that an accelerator processes in a segment at a time: enough for full utilisation, and the temporaries of a
# segment do not grow with the rows of a micro-batch.
TOKENS_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of a block, from position `start` to `stop`, and its results.

    `measures`: sites whose statistics it collects, in the order of the data flow; HIDDEN is the block's output.
    `advance`: the state at `stop`; otherwise products that only this state needs are not computed. `neurons`:
    whether to measure POSITIVE at the neurons of its MLP, whatever the statistics of its sites.
    """

    start: int
    stop: int
    measures: tuple[str, ...] = ()
    advance: bool = True
    neurons: bool = False


# A block from its input to its output, without statistics.
WHOLE_BLOCK = Segment(start=INPUT, stop=OUTPUT)


def embed(config: ModelConfig, params: EmbedParams, batches: MicroBatches) -> None:
    """Replaces tokens, the first state of every micro-batch, by the input of the first block."""

    def step(tokens: Array, context: Context) -> tuple[Array, None]:
        positions = None if context.tree is None else context.tree.positions
        x = embed_tokens(tokens, positions, params=params, config=config, mesh=batches.mesh)
        return x, None

    batches.run(step)


@functools.partial(compiled_by_rows, static_argnames=("config",))
def embed_tokens(
    tokens: Int[Array | np.ndarray, "B T"],
    positions: Positions | None,
    *,
    params: EmbedParams,
    config: ModelConfig,
) -> Float[Array, "B T D"]:
    """The input of the first block, from tokens at `positions`, by default 0…T-1."""
    return nnx.merge(modules(config).embed[0], params)(tokens, positions)


@functools.partial(
    compiled, static_argnames=("config", "mesh", "segment", "statistics"), donate_argnames="running"
)
def run_segment(
    layer: tuple[BlockParams, Kind],
    state: Any,
    context: Context,
    running: Buffers | None = None,
    *,
    config: ModelConfig,
    mesh: Mesh,
    segment: Segment,
    statistics: tuple[Statistic, ...] = (SQUARES,),
) -> tuple[Any, tuple[dict[str, dict[str, Array]], Buffers]]:
    """One micro-batch through one segment of one block, each device on its own rows.

    Args:
      layer: (parameters of the block, sharded by `block_specs`; its kind, see `models.layer_kind`).
      state: at `segment.start`: the block's input [B, T, D], or (residual, site input).
      context: context of the micro-batch.
      running: the running sums so far of each measured site, donated to the result.
      statistics: statistics of `segment.measures`; at NEURONS (with `neurons`) it is POSITIVE alone.

    Returns:
      The state at `segment.stop` (None without `advance`), and the statistics by measured site: (values of each sample,
      float32 [B, ...]; running sums that include this micro-batch).
    """
    specs = block_specs(layer[0], mesh)
    run = functools.partial(_segment, config, segment, statistics, specs)
    if platform() != "cpu":
        run = functools.partial(_in_turn, run)
    mapped = on_own_rows(run, mesh, (specs, WHOLE))
    state, values, running = mapped(layer, state, context, running or {})
    return state, (values, running)


def rows_at_once(rows: int, length: int) -> int:
    """The number of rows that an accelerator processes in a segment at a time; divides `rows`."""
    even = (n for n in range(rows, 0, -1) if rows % n == 0)
    return next((n for n in even if n * length <= TOKENS_AT_ONCE), 1)


def _in_turn(
    run: Callable[..., Any],
    layer: tuple[BlockParams, Kind],
    state: Any,
    context: Context,
    running: Buffers,
) -> Any:
    """The result of `run` for all rows, computed for `rows_at_once` of them at a time."""
    rows, length = jax.tree.leaves(state)[0].shape[:2]
    at_once = rows_at_once(rows, length)
    if at_once == rows:
        return run(layer, state, context, running)

    def one_part(running: Buffers, part: Any) -> tuple[Buffers, Any]:
        state, values, running = run(layer, *part, running)
        return running, (state, values)

    cut = jax.tree.map(lambda x: x.reshape(-1, at_once, *x.shape[1:]), (state, context))
    running, out = jax.lax.scan(one_part, running, cut)
    return *jax.tree.map(lambda x: x.reshape(rows, *x.shape[2:]), out), running


def _segment(
    config: ModelConfig,
    segment: Segment,
    statistics: tuple[Statistic, ...],
    specs: Any,
    layer: tuple[BlockParams, Kind],
    state: Any,
    context: Context,
    running: Buffers,
) -> tuple[Any, dict[str, dict[str, Array]], Buffers]:
    graph, _ = modules(config).block
    params, kind = layer
    values: dict[str, dict[str, Array]] = {}
    running = {site: dict(sums) for site, sums in running.items()}

    def measure(site: str, u: Array) -> None:
        u, values[site] = _by_tokens(u), {}
        valid = jnp.asarray(context.valid)
        for statistic in statistics:
            if statistic.reduction == RUNNING:
                assert context.place is not None  # of states with running sums
                place, sums = map(jnp.asarray, context.place), running[site][statistic.name]
                running[site][statistic.name] = add_rows(statistic, sums, u, valid, *place)
            else:
                values[site][statistic.name] = statistic.sample_values(u, valid)

    for position in range(segment.start, segment.stop):
        if position == INPUT:
            residual, u = nnx.merge(graph, params).enter(state)
        else:
            site = SITES[position - 1]
            readable, state = _readable(config, site, specs, params, state)
            block = nnx.merge(graph, readable)
            if segment.neurons and site == "mlp_in":
                # XLA computes it once, also for `leave`
                u = _by_tokens(block.mlp.neurons(state[1]))
                positive = POSITIVE.sample_values(u, jnp.asarray(context.valid))
                values[NEURONS] = {POSITIVE.name: positive}
            residual, u = block.leave(site, *state, context.tree, kind)
        if position + 1 == OUTPUT:
            state = residual
            if HIDDEN in segment.measures:
                measure(HIDDEN, residual)
            break
        state = (residual, u)
        if SITES[position] in segment.measures:
            measure(SITES[position], u)
    return (state if segment.advance else None), values, running


def _by_tokens(u: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
    """`u`, on accelerators in row-major layout.

    For a sum over tokens XLA would choose a layout by features, on GPUs for all operations that lead to it as well.
    """
    return u if platform() == "cpu" else with_layout_constraint(u, Layout((0, 1, 2)))


def _readable(
    config: ModelConfig, site: str, specs: Any, params: BlockParams, state: Any
) -> tuple[Any, Any]:
    """A block's parameters, with the kernels that read `site` gathered, and the state there."""
    flat, by_path = flatten_dict(params, sep="/"), flatten_dict(specs, sep="/")
    shared = {
        path: flat[path]
        for path, reads in family_of(config).sites.items()
        if reads == site and MODEL in by_path[path]
    }
    if shared:
        # depends on the state, so that XLA cannot gather all kernels at the beginning
        shared, state = jax.lax.optimization_barrier((shared, state))
        flat |= {path: whole(leaf, by_path[path]) for path, leaf in shared.items()}
    return unflatten_dict(flat, sep="/"), state


@compiled_by_rows
def overflows(
    residual: Float[Array, "B T D"], valid: Bool[Array | np.ndarray, "B T"]
) -> Bool[Array, " B"]:
    """Whether the sum of squares of a real token's features overflows float32: its norm would be zeros.

    It is a separate program: a check in the segment's program would change the rounding there.
    """
    kept = jnp.where(valid[..., None], residual, 0)
    return ~jnp.isfinite(jnp.sum(jnp.square(kept), axis=-1)).all(axis=-1)
