"""Positions of tokens in rows of more than one sequence (trees, caches), and the kind of a layer."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

# The index of a layer's kind in `ModelConfig.kinds`, as an array, so that one program serves all layers. None if the
# model has one kind.
Kind = Int[Array | np.ndarray, ""] | None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Positions:
    """Positions other than 0…T-1.

    Attributes:
      index: [B, T] int32.
      limit: exclusive bound of the positions; the length of position tables.
    """

    index: Int[Array | np.ndarray, "B T"]
    limit: int = dataclasses.field(metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tree:
    """Rows of trees of tokens in depth-first order: sequences whose shared beginnings occur once.

    Attributes:
      depth: [B, T] int32, the position of each token in its sequences.
      ends: [B, T] int32, where the subtree of each token ends: token j is visible to the tokens i with
        j <= i < ends[j].
    """

    depth: Int[Array | np.ndarray, "B T"]
    ends: Int[Array | np.ndarray, "B T"]

    @property
    def positions(self) -> Positions:
        """The depths as positions."""
        return Positions(self.depth, self.depth.shape[1])


def at_positions(
    table: Float[Array | np.ndarray, "P ..."], positions: Positions | None
) -> Float[Array, "*shape"]:
    """Rows of a table of positions 0…P-1: all of them, [P, …], or the rows of `positions`, [B, T, …]."""
    return jnp.asarray(table) if positions is None else jnp.asarray(table)[positions.index]


def checked_kind(kind: Kind) -> Int[Array | np.ndarray, ""]:
    """The kind of a layer, which models with several kinds require."""
    if kind is None:
        raise ValueError("layers of this model are of several kinds; `kind` is missing")
    return kind
