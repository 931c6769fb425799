"""One pruned block → its kept weights, norms and biases, fitted to outputs of the dense block.

The loss is the squared error over real tokens, relative to the variance of the dense outputs. AdamW makes its steps on
float32 masters; the gradient of a step is the sum of those of its units, the rows that share a device. The host adds
them in the order of the units, so the bits do not depend on the number of devices.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float

from jaxprune.devices import by_rows, compiled, on_own_rows, product_dtype, replicated
from jaxprune.models import BlockParams, Kind, MaskTree, ModelConfig, cast_for_matmul, modules
from jaxprune.passes import MicroBatches
from jaxprune.pruning import masks as mask_algebra
from jaxprune.recovery.config import RecoveryFields

# Epochs without a lower loss on the held-out samples after which a block is done.
PATIENCE = 2


class Unit(NamedTuple):
    """The rows of one device: inputs of a block, outputs of the dense block, and which tokens are real."""

    inputs: Float[np.ndarray, "b T D"]
    targets: Float[np.ndarray, "b T D"]
    valid: Bool[np.ndarray, "b T"]


def units_of(inputs: MicroBatches, targets: MicroBatches) -> list[Unit]:
    """The rows in units, without those that only pad a micro-batch: the same ones on any number of devices."""
    rows = inputs.step // inputs.mesh.size
    units = []
    for x, target, context in zip(inputs.states, targets.states, inputs.contexts, strict=True):
        arrays = [np.asarray(leaf) for leaf in (x, target, context.valid)]
        parts = (Unit(*(a[i : i + rows] for a in arrays)) for i in range(0, inputs.step, rows))
        units += [unit for unit in parts if unit.valid.any()]
    return units


class Fit(NamedTuple):
    """A fitted block.

    Attributes:
      params: its float32 masters, on the host.
      before, after: loss on the held-out samples.
      epochs: number of passes over the others.
    """

    params: BlockParams
    before: float
    after: float
    epochs: int


def fit(
    params: BlockParams,
    keep: MaskTree,
    units: Sequence[Unit],
    kind: Kind,
    fields: RecoveryFields,
    config: ModelConfig,
    dtype: str,
    seed: int,
    mesh: Mesh,
    show: Callable[[str], None] = lambda text: None,
) -> Fit:
    """Fits a block; the masters with the lowest loss on the held-out units are the result.

    Ends after `PATIENCE` epochs in a row without a lower loss.

    Args:
      params: of the pruned block, on the host.
      keep: its masks; dropped weights stay +0.
      units: see `units_of`.
      kind: of the layer, see `models.layer_kind`.
      config: of the model in `dtype`, "float32" or "bfloat16", to which the masters are rounded for products.
      seed: of the choice of held-out units and of the order of the others.
      show: receives a line on the loss.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(units))
    few = max(1, round(fields.held_out * len(units)))
    held_out, rest = [units[i] for i in order[:few]], [units[i] for i in sorted(order[few:])]
    size = max(1, fields.batch // len(units[0].valid))
    steps = fields.epochs * len(list(_batches(rest, size, np.random.default_rng(seed))))
    optimizer = _optimizer(fields.learning_rate, steps)
    everywhere = replicated(mesh)
    masters = jax.tree.map(lambda leaf: leaf.astype(np.float32), params)
    masters, keep = jax.device_put((masters, keep), everywhere)
    state = jax.device_put(optimizer.init(masters), everywhere)
    how: Any = {"config": config, "mesh": mesh, "dtype": product_dtype(dtype)}
    of_variance = 1 / _variance(units)

    def loss() -> float:
        sums = [_errors(masters, kind, *part, **how) for part in _micro_batches(held_out, mesh)]
        return of_variance * float(np.concatenate(sums).sum(dtype=np.float64)) / _tokens(held_out)

    first = loss()
    best = Fit(jax.tree.map(np.array, masters), first, first, 0)
    for epoch in range(1, fields.epochs + 1):
        for batch in _batches(rest, size, rng):
            parts = [
                _gradients(masters, kind, *part, **how) for part in _micro_batches(batch, mesh)
            ]
            gradient = _sum_in_order(parts, len(batch))
            scale = np.float32(of_variance / _tokens(batch))
            gradient = jax.device_put(gradient, everywhere)
            masters, state = _step(masters, state, gradient, scale, keep, optimizer=optimizer)
        now = loss()
        show(f"loss {best.before:.4f} → {now:.4f}")
        if now < best.after:
            best = Fit(jax.tree.map(np.array, masters), first, now, epoch)
        elif epoch - best.epochs == PATIENCE:
            break
    return best


@functools.lru_cache(1)  # a static argument, equal for all blocks
def _optimizer(learning_rate: float, steps: int) -> optax.GradientTransformation:
    rise = learning_rate / 10, learning_rate, steps // 10
    schedule = optax.warmup_cosine_decay_schedule(*rise, decay_steps=steps)
    return optax.adamw(schedule)


def _batches(
    units: Sequence[Unit], size: int, rng: np.random.Generator
) -> Iterator[Sequence[Unit]]:
    """The units in random order, in batches of equal length."""
    batches: list[Sequence[Unit]] = []
    for length in sorted({unit.valid.shape[1] for unit in units}):
        alike = [unit for unit in units if unit.valid.shape[1] == length]
        mixed = [alike[i] for i in rng.permutation(len(alike))]
        batches += [mixed[i : i + size] for i in range(0, len(mixed), size)]
    return (batches[i] for i in rng.permutation(len(batches)))


def _micro_batches(units: Sequence[Unit], mesh: Mesh) -> Iterator[Unit]:
    """The units in order of their lengths, one for each device at a time; units of zeros fill the last ones."""
    for length in sorted({unit.valid.shape[1] for unit in units}):
        alike = [unit for unit in units if unit.valid.shape[1] == length]
        empty = Unit(*map(np.zeros_like, alike[0]))
        for start in range(0, len(alike), mesh.size):
            part = alike[start : start + mesh.size]
            part = [*part, *[empty] * (mesh.size - len(part))]
            yield jax.device_put(Unit(*map(np.concatenate, zip(*part, strict=True))), by_rows(mesh))


def _tokens(units: Sequence[Unit]) -> int:
    return sum(int(unit.valid.sum()) for unit in units)


def _variance(units: Sequence[Unit]) -> float:
    """The variance of the dense outputs over real tokens, summed over features."""
    real = [unit.targets[unit.valid] for unit in units]
    mean = sum(part.sum(axis=0, dtype=np.float64) for part in real) / _tokens(units)
    return sum(float(np.square(part - mean).sum()) for part in real) / _tokens(units)


@functools.partial(compiled, static_argnames=("config", "mesh", "dtype"))
def _errors(
    masters: BlockParams, kind: Kind, *rows: Any, config: ModelConfig, mesh: Mesh, dtype: str
) -> Float[Array, " devices"]:
    error = functools.partial(_squared_error, config, dtype)

    def on_device(layer: tuple[BlockParams, Kind], *rows: Array) -> Array:
        return error(*layer, *rows)[None]

    return on_own_rows(on_device, mesh)((masters, kind), *rows)


@functools.partial(compiled, static_argnames=("config", "mesh", "dtype"))
def _gradients(
    masters: BlockParams, kind: Kind, *rows: Any, config: ModelConfig, mesh: Mesh, dtype: str
) -> Any:
    """The gradient of each device's unit, [devices, …]."""
    gradient = jax.grad(functools.partial(_squared_error, config, dtype))

    def on_device(layer: tuple[BlockParams, Kind], *rows: Array) -> Any:
        return jax.tree.map(lambda leaf: leaf[None], gradient(*layer, *rows))

    return on_own_rows(on_device, mesh)((masters, kind), *rows)


def _squared_error(
    config: ModelConfig,
    dtype: str,
    masters: BlockParams,
    kind: Kind,
    inputs: Array,
    targets: Array,
    valid: Array,
) -> Float[Array, ""]:
    """Sum over the real tokens, of the block in the dtype of the products."""
    graph, _ = modules(config).block
    params = jax.tree.map(lambda leaf: cast_for_matmul(leaf, dtype, config.rounded_inputs), masters)
    outputs = nnx.merge(graph, params)(inputs, kind)
    return jnp.sum(jnp.where(valid[..., None], jnp.square(outputs - targets), 0))


def _sum_in_order(parts: Sequence[Any], count: int) -> Any:
    """The sum of the first `count` units, on the host."""

    def add(*leaves: Array) -> np.ndarray:
        return functools.reduce(np.add, np.concatenate(leaves)[:count])

    return jax.tree.map(add, *parts)


@functools.partial(compiled, static_argnames="optimizer", donate_argnames=("masters", "state"))
def _step(
    masters: BlockParams,
    state: Any,
    gradient: BlockParams,
    scale: Float[Array, ""],
    keep: MaskTree,
    *,
    optimizer: optax.GradientTransformation,
) -> tuple[BlockParams, Any]:
    """One step of AdamW; dropped weights stay +0."""
    scaled = jax.tree.map(lambda leaf: scale * leaf, gradient)
    updates, state = optimizer.update(scaled, state, masters)
    return mask_algebra.apply(optax.apply_updates(masters, updates), keep), state
