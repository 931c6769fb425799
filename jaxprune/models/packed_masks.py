"""Keep masks ↔ one bit per weight, the form in memory, checkpoints and unfinished runs."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Bool, Float, Int, UInt8

from jaxprune.base.errors import InputError, check_equal

BITS, SHAPE = "bits", "shape"  # of each mask in a file


@dataclasses.dataclass(frozen=True)
class PackedMasks:
    """Masks of one block or of all, on the host. True = keep = 1.

    Each layer starts at a byte boundary, so the bits of stacked layers are the stacked bits.

    Attributes:
      bits: kernel path within a block → uint8 [ceil(in · out / 8)], or [L, …] of all layers.
      shapes: kernel path → shape of the mask, (in, out) or (L, in, out).
    """

    bits: Mapping[str, UInt8[np.ndarray, "*layers bytes"]]
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, keep: Mapping[str, Any]) -> "PackedMasks":
        """The masks [in, out] or [L, in, out] of kernels, by path."""
        arrays = {path: np.asarray(mask) for path, mask in keep.items()}
        return cls(
            {p: np.packbits(m.reshape(*m.shape[:-2], -1), axis=-1) for p, m in arrays.items()},
            {path: mask.shape for path, mask in arrays.items()},
        )

    @classmethod
    def stack(cls, blocks: "Sequence[PackedMasks]") -> "PackedMasks":
        """The masks of single blocks, stacked over layers."""
        first = blocks[0]
        return cls(
            {path: np.stack([block.bits[path] for block in blocks]) for path in first.bits},
            {path: (len(blocks), *shape) for path, shape in first.shapes.items()},
        )

    @property
    def layers(self) -> "list[PackedMasks]":
        """The masks of each block."""
        return [self.layer(i) for i in range(next(iter(self.shapes.values()))[0])]

    def layer(self, layer: int) -> "PackedMasks":
        """The masks of one block."""
        return PackedMasks(
            {path: bits[layer] for path, bits in self.bits.items()},
            {path: shape[1:] for path, shape in self.shapes.items()},
        )

    def unpack(self) -> dict[str, Bool[np.ndarray, "*layers in out"]]:
        """The masks by kernel path."""
        masks = {}
        for path, bits in self.bits.items():
            shape = self.shapes[path]
            flat = np.unpackbits(bits, axis=-1, count=math.prod(shape[-2:]))
            masks[path] = flat.astype(bool).reshape(shape)
        return masks

    def intersect(self, other: "PackedMasks") -> "PackedMasks":
        """The masks of the weights that both keep.

        Raises:
          InputError: masks of different kernels or shapes.
        """
        check_equal("masks", self.shapes, other.shapes, "masks of the same model")
        return PackedMasks({p: bits & other.bits[p] for p, bits in self.bits.items()}, self.shapes)

    def kept(self) -> dict[str, Int[np.ndarray, "*layers"]]:
        """The number of kept weights by kernel path."""
        counts = {path: np.bitwise_count(bits) for path, bits in self.bits.items()}
        return {path: np.asarray(n.sum(-1, dtype=np.int64)) for path, n in counts.items()}

    def independent(self, other: "PackedMasks") -> dict[str, Float[np.ndarray, "*layers"]]:
        """The expected number of weights, by path, that two independent masks of these densities both keep."""
        other_kept = other.kept()
        return {
            path: count * other_kept[path] / math.prod(self.shapes[path][-2:])
            for path, count in self.kept().items()
        }

    # Conversions for files.

    def to_records(self) -> dict[str, dict[str, np.ndarray]]:
        """Kernel path → {"bits": uint8, "shape": int32 [ndim]}."""
        return {
            path: {BITS: bits, SHAPE: np.asarray(self.shapes[path], np.int32)}
            for path, bits in self.bits.items()
        }

    @classmethod
    def from_records(cls, records: Mapping[str, Mapping[str, Any]]) -> "PackedMasks":
        """The inverse of `to_records`.

        Raises:
          KeyError: a record lacks a part.
          InputError: bits do not fit their shape.
        """
        all_bits = {path: np.asarray(record[BITS]) for path, record in records.items()}
        shapes = {path: tuple(map(int, record[SHAPE])) for path, record in records.items()}
        for path, bits in all_bits.items():
            *layers, size_in, size_out = shapes[path]
            if bits.dtype != np.uint8 or bits.shape != (*layers, -(-size_in * size_out // 8)):
                raise InputError(
                    f"masks: {path} has {bits.dtype} bits of shape {bits.shape}, which do not fit a mask of "
                    f"shape {shapes[path]}"
                )
        return cls(all_bits, shapes)

    def to_tree(self) -> dict[str, Any]:
        """The records as a nested dict {"blocks": …}, for a checkpoint."""
        return {"blocks": unflatten_dict(self.to_records(), sep="/")}

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> "PackedMasks":
        """The inverse of `to_tree`."""
        is_record = lambda _, node: BITS in node  # noqa: E731
        return cls.from_records(flatten_dict(tree["blocks"], is_leaf=is_record, sep="/"))
