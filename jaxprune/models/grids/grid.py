"""Grids, and weights that know theirs: levels, the scales as a file stores them, and the bytes of both."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float16, Int8, UInt8

GROUP = 32  # inputs of an output that share a scale


def in_float16(scales: Float[Array | np.ndarray, "*dims"]) -> Float[Array, "*dims"]:
    """Scales rounded to float16, as float32; a compiler may remove casts there and back."""
    subnormal = jnp.round(scales * 2.0**24) / 2.0**24  # which `reduce_precision` makes 0
    return jnp.where(jnp.abs(scales) < 2.0**-14, subnormal, lax.reduce_precision(scales, 5, 10))


@dataclasses.dataclass(frozen=True)
class Grid:
    """The values that weights may have: a level times the scale of its group, which is stored in float16.

    A group is 32 inputs of one output. A file in `grids/` that declares a grid as `GRID` adds it. Weights on it are
    `Quantized`; those of a grid without levels are arrays.

    Attributes:
      name: value of `quantize.grid`, the lower case of the type's name in GGUF.
      meaning: description for `--help` and the page of settings.
      bits: bits of a weight in a file, with its share of the scale.
      levels: multiples of the scale, ascending; empty for numbers without scale.
      extremes: multiples of the scale that a search puts the largest weight of a group on in turn; the first is that
        of rounding without a search.
      packed: (scales float16 [N], indices of levels uint8 [N, 32]) → bytes uint8 [N, bytes of a group], as in GGUF;
        None for numbers without scale.
      unpacked: the inverse of `packed`.
    """

    name: str
    meaning: str
    bits: float
    levels: tuple[int, ...] = ()
    extremes: tuple[float, ...] = ()
    packed: (
        Callable[[Float16[np.ndarray, " N"], UInt8[np.ndarray, "N 32"]], UInt8[np.ndarray, "N B"]]
        | None
    ) = None
    unpacked: (
        Callable[
            [UInt8[np.ndarray, "N B"]],
            tuple[Float16[np.ndarray, " N"], UInt8[np.ndarray, "N 32"]],
        ]
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

    def values(self, weights: "Quantized") -> Any:
        """The weights, float32 [..., in, out]: of numpy if the levels are, otherwise of JAX and traceable."""
        module: Any = np if isinstance(weights.levels, np.ndarray) else jnp
        scales = weights.scales["d"].astype(module.float32)
        return weights.levels.astype(module.float32) * module.repeat(scales, GROUP, axis=-2)

    def project(self, masters: Mapping[str, Any]) -> dict[str, Any]:
        """Trained scales as a file stores them; the gradient passes the rounding as if it were not there."""
        return {
            name: scales + lax.stop_gradient(in_float16(scales) - scales)
            for name, scales in masters.items()
        }

    def pack(self, weights: "Quantized") -> UInt8[np.ndarray, "out bytes"]:
        """The bytes of weights [in, out] in a file, a row for each output."""
        assert self.packed is not None
        outputs = weights.levels.shape[1]
        levels = np.ascontiguousarray(weights.levels.T).reshape(-1, GROUP)
        if self.is_uniform:
            index = (levels.astype(np.int16) - self.levels[0]).astype(np.uint8)
        else:
            index = np.searchsorted(self.levels, levels).astype(np.uint8)
        scales = np.ascontiguousarray(weights.scales["d"].T, np.float16).reshape(-1)
        return self.packed(scales, index).reshape(outputs, -1)

    def unpack(self, rows: UInt8[np.ndarray, "out bytes"]) -> "Quantized":
        """The weights [in, out] of bytes in a file, the inverse of `pack`."""
        assert self.unpacked is not None
        groups = rows.reshape(-1, int(GROUP * self.bits / 8))
        return self.of_groups(*self.unpacked(groups), outputs=len(rows))

    def of_groups(
        self, scales: Float16[np.ndarray, " N"], index: UInt8[np.ndarray, "N 32"], outputs: int
    ) -> "Quantized":
        """The weights [in, out] of the groups of each output in turn, by their scales and the indices of levels."""
        levels = np.array(self.levels, np.int8)[index].reshape(outputs, -1)
        by_group = scales.astype(np.float32).reshape(outputs, -1)
        return Quantized(
            np.ascontiguousarray(levels.T), {"d": np.ascontiguousarray(by_group.T)}, self
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Quantized:
    """Weights on a grid, from the rounding to the file.

    Attributes:
      levels: int8 [..., in, out], multiples of the scales.
      scales: by name, as the file stores them: "d", float32 [..., in / 32, out] with the precision of float16.
      grid: their grid.
    """

    levels: Int8[Array | np.ndarray, "*layers in out"]
    scales: Mapping[str, Float[Array | np.ndarray, "*layers groups out"]]
    grid: Grid = dataclasses.field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, ...]:
        """[..., in, out]."""
        return tuple(self.levels.shape)

    def values(self) -> Any:
        """See `Grid.values`."""
        return self.grid.values(self)


Weight: TypeAlias = Array | np.ndarray | Quantized


def values_of(weight: Any) -> Any:
    """The numbers of a weight: an array as it is."""
    return weight.values() if isinstance(weight, Quantized) else weight
