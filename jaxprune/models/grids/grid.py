"""The record of a grid: a few levels times one scale for every block of inputs, as llama.cpp stores weights."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float16, UInt8

BLOCK = 32  # inputs of an output that share a scale


def in_float16(scales: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """Scales rounded to float16, as float32; a compiler may remove casts there and back."""
    subnormal = jnp.round(scales * 2.0**24) / 2.0**24  # which `reduce_precision` makes 0
    return jnp.where(jnp.abs(scales) < 2.0**-14, subnormal, lax.reduce_precision(scales, 5, 10))


@dataclasses.dataclass(frozen=True)
class Grid:
    """The values that weights may have: a level times the scale of its block, which is stored in float16.

    A block is 32 inputs of one output. A file in `grids/` that declares a grid as `GRID` adds it.

    Attributes:
      name: value of `quantize.grid`, the lower case of the type's name in GGUF.
      meaning: description for `--help` and the page of settings.
      bits: bits of a weight in a file, with its share of the scale.
      levels: multiples of the scale, ascending; empty for numbers without scale.
      extremes: multiples of the scale that a search puts the largest weight of a block on in turn; the first is that
        of rounding without a search.
      pack: (scales float16 [N], indices of levels uint8 [N, 32]) → bytes uint8 [N, bytes of a block], as in GGUF; None
        for numbers without scale.
    """

    name: str
    meaning: str
    bits: float
    levels: tuple[int, ...] = ()
    extremes: tuple[float, ...] = ()
    pack: (
        Callable[[Float16[np.ndarray, " N"], UInt8[np.ndarray, "N 32"]], UInt8[np.ndarray, "N B"]]
        | None
    ) = None

    @property
    def is_uniform(self) -> bool:
        """Whether the levels are successive integers."""
        return self.levels == tuple(range(self.levels[0], self.levels[-1] + 1))

    def nearest(self, multiples: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
        """The levels nearest to multiples of the scale; traceable."""
        if self.is_uniform:
            # through integers, which have no sign of zero
            nearest = jnp.clip(jnp.round(multiples), self.levels[0], self.levels[-1])
            return nearest.astype(jnp.int32).astype(jnp.float32)
        levels = np.array(self.levels, np.float32)
        index = sum(
            (multiples > middle).astype(jnp.int32) for middle in (levels[1:] + levels[:-1]) / 2
        )
        return jnp.asarray(levels)[index]
