"""The pass over blocks: samples in micro-batches of fixed shapes, one block's weights on the devices at a time."""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.experimental.layout import Layout, with_layout_constraint
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from jaxprune.devices import (
    MODEL,
    WHOLE,
    block_specs,
    by_rows,
    compiled,
    on_own_rows,
    platform,
    whole,
)
from jaxprune.models import (
    SITES,
    BlockParams,
    EmbedParams,
    Kind,
    ModelConfig,
    Positions,
    Tree,
    family_of,
    modules,
)
from jaxprune.passes.running import Buffers, add_rows
from jaxprune.passes.statistics import RUNNING, SQUARES, Statistic

# Positions in a block: its input, the input of each site in turn, its output.
INPUT, OUTPUT = 0, len(SITES) + 1

# The site that no kernel reads: the output of a block, which the analysis measures.
HIDDEN = "hidden"

# Tokens that an accelerator takes through a segment at once: they fill its products, and what a segment holds on the
# way does not grow with the rows of a micro-batch.
TOKENS_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment:
    """A stretch of a block, from one position to another, and the results to compute there.

    `collect`: statistics of the sites reached. `advance`: the state at `stop`; without it the
    products that only the state needs are never computed. `hidden`: statistics of the block's output too.
    """

    start: int
    stop: int
    collect: bool
    advance: bool
    hidden: bool = False

    @property
    def measures(self) -> tuple[str, ...]:
        """The sites whose statistics it collects, in the order in which data meets them."""
        sites = SITES[self.start : self.stop] if self.collect else ()
        return (*sites, HIDDEN) if self.hidden else sites


# A block from its input to its output, with nothing measured.
WHOLE_BLOCK = Segment(start=INPUT, stop=OUTPUT, collect=False, advance=True)


class Context(NamedTuple):
    """Facts about rows that a block needs besides their state.

    Attributes:
      valid: [B, T] bool, the tokens that count in sums; None where nothing is summed.
      tree: of rows that hold trees of tokens; None where each is one sequence.
      place: [B, 2] int32, where running sums take each row: see `running.add_rows`; None without any.
    """

    valid: Array | np.ndarray | None = None
    tree: Tree | None = None
    place: Array | np.ndarray | None = None


class MicroBatches:
    """Rows in micro-batches, with their states (hidden activations) between two segments.

    A micro-batch holds `rows_per_device` rows for each device. Which rows share a device does not depend on the
    number of devices, so neither do the bits of any result. The last micro-batch is filled up with rows of zeros.
    """

    def __init__(self, mesh: Mesh, rows_per_device: int) -> None:
        self.mesh = mesh
        self.step = rows_per_device * mesh.size
        self.states: list[Any] = []  # one pytree a micro-batch
        self.contexts: list[Context] = []

    def add(self, states: Any, context: Context) -> None:
        """Cuts rows, the first axis of all leaves, into micro-batches."""
        self.states += self.cut(states)
        self.contexts += jax.device_put(self.cut(context), by_rows(self.mesh))

    def cut(self, tree: Any) -> list[Any]:
        """The leaves [R, …] in micro-batches of equal size, the last one filled up with rows of zeros."""

        def part_of(start: int, leaf: np.ndarray) -> np.ndarray:
            part = leaf[start : start + self.step]
            missing = ((0, self.step - len(part)),) + ((0, 0),) * (leaf.ndim - 1)
            return np.pad(part, missing)

        count = len(jax.tree.leaves(tree)[0])
        return [
            jax.tree.map(functools.partial(part_of, start), tree)
            for start in range(0, count, self.step)
        ]

    def run(
        self,
        step: Callable[[Any, Context], tuple[Any, Any]],
        take: Callable[[Any], None] | None = None,
    ) -> None:
        """Feeds every micro-batch through `step(state, context) -> (state or None, result)`.

        One is dispatched while its predecessor runs, so that the devices hold two at most.

        Args:
          step: a new state takes the place of the old one.
          take: is given the results, on the host, in the order of the micro-batches. Without it none is kept.
        """
        on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        # CPU devices that share blocks gather kernels on the threads that compute: two passes at a
        # time could wait for each other.
        behind = 0 if on_cpu and self.mesh.shape[MODEL] > 1 else 1
        pending: collections.deque[tuple[int, Any]] = collections.deque()

        def settle() -> None:
            """Waits for the oldest; off CPUs, whose memory is the host's, moves its state to the host."""
            i, result = pending.popleft()
            if not on_cpu:
                self.states[i] = jax.device_get(self.states[i])
            jax.block_until_ready((self.states[i], result))
            if take is not None:
                take(jax.device_get(result))

        for i, context in enumerate(self.contexts):
            state, result = step(jax.device_put(self.states[i], by_rows(self.mesh)), context)
            pending.append((i, result))
            if state is not None:
                self.states[i] = state
            if len(pending) > behind:
                settle()
        while pending:
            settle()


def embed(config: ModelConfig, params: EmbedParams, batches: MicroBatches) -> None:
    """Turns tokens, the first state of every micro-batch, into the input of the first block."""

    def step(tokens: Array, context: Context) -> tuple[Array, None]:
        positions = None if context.tree is None else context.tree.positions
        return embed_tokens(params, tokens, positions, config=config, mesh=batches.mesh), None

    batches.run(step)


@functools.partial(compiled, static_argnames=("config", "mesh"))
def embed_tokens(
    params: EmbedParams,
    tokens: Int[Array | np.ndarray, "B T"],
    positions: Positions | None,
    *,
    config: ModelConfig,
    mesh: Mesh,
) -> Float[Array, "B T D"]:
    """The input of the first block, from tokens at `positions`, by default 0…T-1; each device on its own rows."""
    graph, _ = modules(config).embed

    def call(params: Any, tokens: Array, positions: Positions | None) -> Array:
        return nnx.merge(graph, params)(tokens, positions)

    return on_own_rows(call, mesh)(params, tokens, positions)


@functools.partial(
    compiled,
    static_argnames=("config", "mesh", "segment", "statistics"),
    donate_argnames="running",
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
      layer: (parameters of the block as `block_specs` has them, its kind, see `models.layer_kind`).
      state: at `segment.start`: the block's input [B, T, D], or (residual, site input).
      context: of the micro-batch.
      running: the running sums so far, of each site that is measured; their memory is that of the new ones.
      statistics: measured at each site reached (with `collect`) and at HIDDEN (with `hidden`).

    Returns:
      The state at `segment.stop` (None without `advance`), and of each measured site the statistics: (the values of
      every sample, float32 [B, ...]; the running sums with this micro-batch in them).
    """
    specs = block_specs(layer[0], mesh)
    run = functools.partial(_segment, config, segment, statistics, specs)
    if platform() != "cpu":
        run = functools.partial(_in_turn, run)
    mapped = on_own_rows(run, mesh, (specs, WHOLE))
    state, values, running = mapped(layer, state, context, running or {})
    return state, (values, running)


def rows_at_once(rows: int, length: int) -> int:
    """The number of a micro-batch's rows that an accelerator takes through a segment at once; divides all its rows."""
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
    some = rows_at_once(rows, length)
    if some == rows:
        return run(layer, state, context, running)

    def one_part(running: Buffers, part: Any) -> tuple[Buffers, Any]:
        state, values, running = run(layer, *part, running)
        return running, (state, values)

    cut = jax.tree.map(lambda x: x.reshape(-1, some, *x.shape[1:]), (state, context))
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
        for one in statistics:
            if one.reduction == RUNNING:
                rows = (u, valid, jnp.asarray(context.place))
                running[site][one.name] = add_rows(one, running[site][one.name], *rows)
            else:
                values[site][one.name] = one.of_rows(u, valid)

    for position in range(segment.start, segment.stop):
        if position == INPUT:
            residual, u = nnx.merge(graph, params).enter(state)
        else:
            site = SITES[position - 1]
            here, state = _readable(config, site, specs, params, state)
            residual, u = nnx.merge(graph, here).leave(site, *state, context.tree, kind)
        if position + 1 == OUTPUT:
            state = residual
            if segment.hidden:
                measure(HIDDEN, residual)
            break
        state = (residual, u)
        if segment.collect:
            measure(SITES[position], u)
    return (state if segment.advance else None), values, running


def _by_tokens(u: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
    """`u`, which off CPUs lies token by token.

    For a sum over tokens XLA would lay out its operand feature by feature, and on GPUs all that leads to it.
    """
    return u if platform() == "cpu" else with_layout_constraint(u, Layout((0, 1, 2)))


def _readable(
    config: ModelConfig, site: str, specs: Any, params: BlockParams, state: Any
) -> tuple[Any, Any]:
    """A block's parameters in which the kernels that read `site` are whole, and the state there."""
    flat, lie = flatten_dict(params, sep="/"), flatten_dict(specs, sep="/")
    shared = {
        path: flat[path]
        for path, reads in family_of(config).sites.items()
        if reads == site and MODEL in lie[path]
    }
    if shared:
        # tied to the state, so that XLA cannot gather all kernels at the beginning and hold them all
        shared, state = jax.lax.optimization_barrier((shared, state))
        flat |= {path: whole(leaf, lie[path]) for path, leaf in shared.items()}
    return unflatten_dict(flat, sep="/"), state


@functools.partial(compiled, static_argnames="mesh")
def overflows(
    residual: Float[Array, "B T D"], valid: Bool[Array | np.ndarray, "B T"], *, mesh: Mesh
) -> Bool[Array, " B"]:
    """Whether squares of a real token's features add up to more than float32 has: its norm would be zeros.

    It is a program of its own: a check within the segment's program would change how that rounds.
    """

    def call(_: None, residual: Array, valid: Array) -> Array:
        kept = jnp.where(valid[..., None], residual, 0)
        return ~jnp.isfinite(jnp.sum(jnp.square(kept), axis=-1)).all(axis=-1)

    return on_own_rows(call, mesh)(None, residual, valid)
