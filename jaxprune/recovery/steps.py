"""One step of a fit on the devices: the loss and its gradient over units of rows, and AdamW.

The gradient of a step is the sum of those of its units, the rows that share a device, in the order of the units, so the
bits do not depend on the number of devices. Each of several processes computes a share of the units of every step;
their sums are added in the order of the processes.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxprune.devices import hosts
from jaxprune.devices.compiled import compiled
from jaxprune.devices.products import product_dtype
from jaxprune.devices.sharding import by_rows, compiled_by_rows, replicated
from jaxprune.models import masks as mask_algebra
from jaxprune.models.config import ModelConfig
from jaxprune.models.families.apertus import NOT_LEARNED
from jaxprune.models.trees import MaskTree, path_name

# The least root mean square to which steps are relative, for biases of zeros.
SMALLEST = 1e-3

# Rows of one device: a NamedTuple of arrays [b, T, ...], with real tokens as `valid`, bool [b, T].
Unit = Any


class Loss(NamedTuple):
    """A loss of units: its sum over their real tokens, divided by their number.

    Attributes:
      unit_loss: (config, dtype of the products, masters, fixed, *unit) → float32 scalar, the sum; a static argument.
      fixed: arrays on the devices that are not fitted.
      config, dtype: config and dtype of the model.
      scale: factor of the sum.
      where: beginning of messages on the loss.
    """

    unit_loss: Callable[..., Float[Array, ""]]
    fixed: Any
    config: ModelConfig
    dtype: str
    scale: float = 1.0
    where: str = ""


@functools.lru_cache(1)  # a static argument, equal for all blocks
def optimizer(learning_rate: float, steps: int) -> optax.GradientTransformation:
    """AdamW with steps relative to the root mean square of each block's tensor, except those that are not learned.

    Scales of norms differ by orders of magnitude from kernels and between layers (in Gemma 3 from 1 to 400), so
    equal steps would leave the large ones as they are.
    """
    rise = learning_rate / 10, learning_rate, steps // 10
    schedule = optax.warmup_cosine_decay_schedule(*rise, decay_steps=steps)

    def scaled(updates: Any, state: Any, params: Any) -> tuple[Any, Any]:
        def scale_update(update: Array, leaf: Array) -> Array:
            axes = tuple(range(1, leaf.ndim))
            size = jnp.sqrt(jnp.mean(jnp.square(leaf), axes, keepdims=True))
            return update * jnp.maximum(size, SMALLEST)

        return jax.tree.map(scale_update, updates, params), state

    relative = optax.GradientTransformation(lambda _: optax.EmptyState(), scaled)
    adam = optax.scale_by_adam(b2=0.95), optax.add_decayed_weights(1e-4)
    unchanged = optax.masked(optax.set_to_zero(), _not_learned)
    return optax.chain(*adam, relative, optax.scale_by_learning_rate(schedule), unchanged)


def _not_learned(params: Any) -> Any:
    """A tree of bools, True for parameters that are not learned."""
    return jax.tree.map_with_path(
        lambda path, _: path_name(path).rpartition("/")[2] in NOT_LEARNED, params
    )


def _micro_batches(units: Sequence[Unit], mesh: Mesh) -> Iterator[Unit]:
    """The units in order of their lengths, one for each device at a time; units of zeros fill the last ones."""
    for length in sorted({unit.valid.shape[1] for unit in units}):
        alike = [unit for unit in units if unit.valid.shape[1] == length]
        empty = jax.tree.map(np.zeros_like, alike[0])
        for start in range(0, len(alike), mesh.size):
            part = alike[start : start + mesh.size]
            part = [*part, *[empty] * (mesh.size - len(part))]
            rows = jax.tree.map(lambda *leaves: np.concatenate(leaves), *part)
            yield jax.device_put(rows, by_rows(mesh))


def tokens_of(units: Sequence[Unit]) -> int:
    """The number of real tokens."""
    return sum(int(unit.valid.sum()) for unit in units)


def mean_loss(loss: Loss, masters: Any, units: Sequence[Unit], mesh: Mesh) -> float:
    """The loss of these units, the same number in all processes."""
    sums = list(_by_device(loss, masters, units, mesh, differentiate=False))
    own_sum = float(np.concatenate(sums).sum(dtype=np.float64)) if sums else 0.0
    return loss.scale * sum(hosts.gather_json(own_sum)) / tokens_of(units)


def gradient_of(loss: Loss, masters: Any, units: Sequence[Unit], mesh: Mesh) -> Any:
    """The sum of the gradients of the units, in their order, [1, ...]; all processes must call it."""
    total = None
    for gradients in _by_device(loss, masters, units, mesh, differentiate=True):
        alone = total is None and mesh.size == 1
        total = gradients if alone else _added(total, gradients, mesh=mesh)
        # CPU devices add on the threads that compute: two concurrent sums could deadlock
        jax.block_until_ready(total)
    return total if jax.process_count() == 1 else _over_processes(total, masters, mesh)


def _over_processes(total: Any, masters: Any, mesh: Mesh) -> Any:
    """The sum over all processes; `total` is None in a process without units."""
    if total is None:
        total = jax.tree.map(lambda leaf: np.zeros((1, *leaf.shape), np.float32), masters)

    def sum_leaf(leaf: Any) -> Any:
        by_process = hosts.gather(np.asarray(leaf), [1] * jax.process_count())
        return jax.device_put(functools.reduce(np.add, by_process)[None], replicated(mesh))

    return jax.tree.map(sum_leaf, total)


def _by_device(
    loss: Loss, masters: Any, units: Sequence[Unit], mesh: Mesh, *, differentiate: bool
) -> Iterator[Any]:
    """The result of each device, for each micro-batch of this process's share in turn."""
    own = hosts.share(len(units))
    for rows in _micro_batches(units[own.start : own.stop], mesh):
        yield _on_devices(
            *rows, masters=masters, fixed=loss.fixed, differentiate=differentiate,
            unit_loss=loss.unit_loss, config=loss.config, dtype=loss.dtype, mesh=mesh,
        )  # fmt: skip


@functools.partial(
    compiled_by_rows, static_argnames=("unit_loss", "config", "dtype", "differentiate")
)
def _on_devices(
    *unit: Array,
    masters: Any,
    fixed: Any,
    unit_loss: Callable[..., Array],
    config: ModelConfig,
    dtype: str,
    differentiate: bool,
) -> Any:
    """The loss of each device's unit, or its gradient, [devices, ...]."""
    function = functools.partial(unit_loss, config, product_dtype(dtype))
    result = (jax.grad(function) if differentiate else function)(masters, fixed, *unit)
    return jax.tree.map(lambda leaf: leaf[None], result)


@functools.partial(compiled, static_argnames="mesh", donate_argnames="total")
def _added(total: Any, gradients: Any, *, mesh: Mesh) -> Any:
    """`total`, if any, and the gradients of the devices, in their order.

    A program of its own: fused with the gradient, the sum would round differently on other numbers of devices.
    """
    everywhere = jax.lax.with_sharding_constraint(gradients, replicated(mesh))
    parts = [jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], everywhere) for i in range(mesh.size)]
    parts = parts if total is None else [total, *parts]
    summed = functools.reduce(functools.partial(jax.tree.map, jnp.add), parts)
    return jax.lax.with_sharding_constraint(summed, replicated(mesh))


@functools.partial(
    compiled, static_argnames=("optimizer", "mesh"), donate_argnames=("masters", "state")
)
def step(
    masters: Any,
    state: Any,
    gradient: Any,
    scale: Float[Array, ""],
    keep: MaskTree,
    *,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
) -> tuple[Any, Any]:
    """One step of AdamW; dropped weights stay +0."""
    scaled = jax.tree.map(lambda leaf: scale * leaf[0], gradient)
    updates, state = optimizer.update(scaled, state, masters)
    masters = mask_algebra.apply(optax.apply_updates(masters, updates), keep)
    return jax.lax.with_sharding_constraint((masters, state), replicated(mesh))
