"""Rows in micro-batches of fixed shapes, with their states between two segments of blocks."""

import collections
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array

from jaxprune.devices.sharding import MODEL, by_rows
from jaxprune.models.positions import Tree


class Context(NamedTuple):
    """Properties of rows that a block needs besides their state.

    Attributes:
      valid: [B, T] bool, the tokens that count in sums; None without sums.
      tree: the trees of tokens in the rows; None if each row is one sequence.
      place: ([B, 2] int32, [B] float32), the place and factor of each row in running sums, see `running.add_rows`; None
        without running sums.
    """

    valid: Array | np.ndarray | None = None
    tree: Tree | None = None
    place: tuple[Array | np.ndarray, Array | np.ndarray] | None = None


class MicroBatches:
    """Rows in micro-batches, with their states (hidden activations) between two segments.

    A micro-batch has `rows_per_device` rows for each device. The rows that share a device do not depend on the number
    of devices, and neither do the bits of any result. The last micro-batch is padded with rows of zeros.
    """

    def __init__(self, mesh: Mesh, rows_per_device: int) -> None:
        self.mesh = mesh
        self.step = rows_per_device * mesh.size
        self.states: list[Any] = []  # a pytree for each micro-batch
        self.contexts: list[Context] = []

    def add(self, states: Any, context: Context) -> None:
        """Adds rows, the first axis of all leaves, in micro-batches."""
        self.states += self.cut(states)
        self.contexts += jax.device_put(self.cut(context), by_rows(self.mesh))

    def cut(self, tree: Any) -> list[Any]:
        """The leaves [R, …] in micro-batches of equal size, the last one padded with rows of zeros."""

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
        """Runs `step(state, context) -> (state or None, result)` on every micro-batch.

        The next one is dispatched while its predecessor runs, so at most two are on the devices.

        Args:
          step: function whose state, unless None, replaces the old one.
          take: function that receives each result, on the host, in the order of the micro-batches.
        """
        on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        # CPU devices that share blocks gather kernels on the threads that compute: two concurrent
        # passes could deadlock.
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
