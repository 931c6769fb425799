"""Settings of the scores of keys, and functions that the paths share: positions, trees, prefixes, windows."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxprune.models.positions import Tree


class Scoring(NamedTuple):
    """Settings of the scores of a model's keys, and the windows of its layers.

    Attributes:
      scale: multiplies q·k.
      slopes: ALiBi's slope of each head [N], or None.
      softcap: c: scores become c·tanh(score / c); None: no cap.
      windows: number of keys that a query sees in each kind of layer, its own included; None: all up to its own.
      rounded: inputs of products are float32 with values rounded to bfloat16; on CPUs only.
    """

    scale: float
    slopes: np.ndarray | None = None
    softcap: float | None = None
    windows: tuple[int | None, ...] = (None,)
    rounded: bool = False


class Prefix(NamedTuple):
    """Keys and values of tokens before the first token of every row.

    Attributes:
      keys, values: [K, P, H] in the dtype of the products.
      length: [] int32, number of valid entries, the first ones; the row's own positions begin here.
    """

    keys: Float[Array, "K P H"]
    values: Float[Array, "K P H"]
    length: Int[Array, ""]

    @property
    def size(self) -> int:
        """P, the number of allocated entries."""
        return self.keys.shape[1]


def capped(scores: Float[Array, "*shape"], limit: float | None) -> Float[Array, "*shape"]:
    """limit·tanh(scores / limit); unchanged without a limit."""
    return scores if limit is None else limit * jnp.tanh(scores / limit)


def positions_of(T: int, tree: Tree | None, prefix: Prefix | None) -> Int[Array, "rows S"]:
    """The position of every key, S = P + T, in each row; one row for all without a tree."""
    positions = jnp.arange(T)[None] if tree is None else jnp.asarray(tree.depth)
    if prefix is None:
        return positions
    before = jnp.broadcast_to(jnp.arange(prefix.size), (len(positions), prefix.size))
    return jnp.concatenate([before, prefix.length + positions], axis=1)


def ends_of(tree: Tree) -> Int[Array, "B T"]:
    """The index at which the subtree of each token ends, after the token itself.

    So every token sees itself, in rows of pads too: a softmax without a visible key would be NaN.
    """
    ends = tree.ends
    return jnp.maximum(ends, jnp.arange(1, ends.shape[1] + 1, dtype=ends.dtype))


def within(
    queries: Int[Array, "*B t"], keys: Int[Array, "*B s"], window: int
) -> Bool[Array, "*B t s"]:
    """True where a key is within the window of a query, by their positions."""
    return queries[..., :, None] - keys[..., None, :] < window
