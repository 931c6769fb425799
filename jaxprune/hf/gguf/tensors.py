"""Parameters of a model → the tensors of a GGUF file, in llama.cpp's names and layouts."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from jaxprune.hf.gguf.architecture import ARCHITECTURES, llama3_rope
from jaxprune.hf.weights import entries, exported_name, shapes
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids import GRIDS
from jaxprune.models.grids.grid import Quantized, Weight
from jaxprune.models.grids.solving import solved
from jaxprune.models.layers import rope_frequencies
from jaxprune.models.model import kernel_shapes

# Families whose queries and keys llama.cpp rotates in pairs of neighbours, not half a head apart.
_PAIRED = ("llama", "mistral", "smollm3")
_ROPE_FREQS = "rope_freqs.weight"
# Bytes to which the tensors of a file are padded.
ALIGNMENT = 32
# Parameters of Apertus' activation, which are fields of the file.
XIELU = ("alpha_n", "alpha_p", "beta", "eps")


@dataclasses.dataclass(frozen=True)
class Types:
    """The grids of a file, names in `GRIDS`; None for float32.

    Attributes:
      kernels: of the blocks' kernels, and the type of the file.
      embedding: of the embedding and the head.
      by_layer: of each kernel, by layer and path such as "mlp/up/kernel", if kernels differ.
    """

    kernels: str | None
    embedding: str | None
    by_layer: Sequence[Mapping[str, str]] = ()

    def grid_of(self, config: ModelConfig, path: str, layer: int) -> str | None:
        """The grid of a parameter; None for those in float32."""
        kernel = path.removeprefix("blocks/")
        if kernel in kernel_shapes(config):
            return self.kernel_grids(config, layer)[kernel]
        return self.embedding if path in ("embed/tokens", "head/kernel") else None

    def kernel_grids(self, config: ModelConfig, layer: int) -> Mapping[str, Any]:
        """The grid of each kernel of a block, by path."""
        same = dict.fromkeys(kernel_shapes(config), self.kernels)
        return self.by_layer[layer] if self.by_layer else same


def tensors_size(config: ModelConfig, types: Types) -> int:
    """Bytes of the tensors of a file, without its fields and tokenizer."""
    sizes = shapes(config)
    entry_sizes = (
        tensor_size(sizes[path], types.grid_of(config, path, layer))
        for path, layer in entries(config)
    )
    return sum(size + -size % ALIGNMENT for size in entry_sizes)


def tensor_size(shape: Sequence[int], grid: str | None) -> int:
    """Bytes of a tensor; grid None: float32."""
    return int(math.prod(shape) * (32 if grid is None else GRIDS[grid].bits) / 8)


def tensor_names(config: ModelConfig) -> Iterator[tuple[str, str, int]]:
    """Name in the file, path and layer of each parameter that becomes a tensor, in the order of the forward pass."""
    import gguf  # late: only quantization needs it

    architecture = next(
        arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == ARCHITECTURES[config.family]
    )
    names = gguf.get_tensor_name_map(architecture, config.n_layers)
    for path, layer in entries(config):
        if path.rpartition("/")[2] in XIELU:
            continue
        stored = exported_name(config, path, layer)
        name = names.get_name(stored, try_suffixes=(".weight", ".bias"))
        name = name or names.get_name(
            stored.removeprefix("transformer."), try_suffixes=(".weight", ".bias")
        )
        assert name is not None, stored
        yield name, path, layer


def tensor_shape(config: ModelConfig, path: str) -> tuple[int, ...]:
    """The shape of a parameter in a file, kernels as [out, in]."""
    shape = shapes(config)[path]
    return shape[::-1] if path.endswith("/kernel") else shape


def stored_tensor(config: ModelConfig, path: str, weight: Weight, grid: str | None) -> np.ndarray:
    """A parameter as in a file: float32, or the bytes of its grid [out, bytes].

    Args:
      weight: a record [in, out], or an array as in a model, whose record is solved for if it has a grid with levels.

    Raises:
      ValueError: the parameter is not on the grid.
    """
    if not isinstance(weight, Quantized):
        array = np.asarray(weight, np.float32)
        if path.endswith("/kernel"):
            array = np.ascontiguousarray(array.T)
        if grid is None:
            return reordered(config, path, array)
        if not GRIDS[grid].levels:
            halves = array.astype(np.float16)
            if not np.array_equal(halves.astype(np.float32), array):
                raise ValueError(f"{path} is not on the grid {grid}")
            return reordered(config, path, halves.view(np.uint8).reshape(len(array), -1))
        weight = solved(GRIDS[grid], array)
    return reordered(config, path, weight.grid.pack(weight))


def reordered(
    config: ModelConfig, path: str, array: Shaped[np.ndarray, "out *in"], *, back: bool = False
) -> Shaped[np.ndarray, "out *in"]:
    """A parameter, kernels as [out, in], in llama.cpp's order of outputs and with its offset of norms.

    Args:
      back: the inverse, from llama.cpp's.
    """
    if config.family.startswith("gemma") and path.endswith("/scale"):
        return array - 1 if back else array + 1
    name = path.rpartition("/")[0]
    if config.family in _PAIRED and name.endswith(("/query", "/key")):
        heads = config.n_heads if name.endswith("/query") else config.n_kv_heads
        halves = (heads, config.head_dim // 2, 2) if back else (heads, 2, config.head_dim // 2)
        return array.reshape(*halves, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
    if config.family == "bloom" and name.endswith("/qkv"):
        parts = (config.n_heads, 3) if not back else (3, config.n_heads)
        split = array.reshape(*parts, config.head_dim, *array.shape[1:])
        return split.swapaxes(0, 1).reshape(array.shape)
    return array


def extra_tensors(config: ModelConfig) -> dict[str, np.ndarray]:
    """Tensors that no parameter is: factors of the wavelengths of Llama 3's rotary positions, float32 [H / 2]."""
    rope = llama3_rope(config)
    if rope is None:
        return {}
    plain = dataclasses.replace(rope, factor=None)
    factors = rope_frequencies(config.head_dim, plain) / rope_frequencies(config.head_dim, rope)
    return {_ROPE_FREQS: factors.astype(np.float32)}
