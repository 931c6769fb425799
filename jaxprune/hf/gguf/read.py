"""The weights of a GGUF file of any quantization as a source, dequantized part by part to float32."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict

from jaxprune.base.errors import InputError
from jaxprune.hf.fingerprint import Fingerprint
from jaxprune.hf.finite import check_finite
from jaxprune.hf.gguf.architecture import ARCHITECTURES, check_architecture
from jaxprune.hf.gguf.tensors import XIELU, reordered, tensor_names, tensor_shape
from jaxprune.hf.shards import ShardWriter
from jaxprune.hf.weights import shapes, to_stored
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids import GRIDS
from jaxprune.models.grids.grid import Quantized

_HEAD = "output.weight"


class GgufWeights:
    """A `ParameterSource` of the tensors in a GGUF file, in float32. Opening checks every name and shape.

    Args:
      config: config of the model, from the folder of its tokenizer.
      file: a GGUF file.

    Attributes:
      config: the config with the file's head: of its own if the file has one.
      tokens: the tokens of the file, by id.

    Raises:
      InputError: no GGUF file; another architecture, another size, a tensor that is missing or of another shape, or a
        type that the library cannot dequantize.
    """

    def __init__(self, config: ModelConfig, file: Path) -> None:
        import gguf  # late: only GGUF files need it

        try:
            self._reader = gguf.GGUFReader(file)
        except (ValueError, OSError, IndexError, KeyError) as error:
            raise InputError(f"{file}: not a GGUF file ({error})") from None
        check_architecture(config)
        self._file = file
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}
        self.config = dataclasses.replace(config, tied_head=_HEAD not in self._tensors)
        self._names = {(path, layer): name for name, path, layer in tensor_names(self.config)}
        self.tokens: list[str] = self._field("tokenizer.ggml.tokens") or []
        self._check()

    def _field(self, name: str) -> Any:
        field = self._reader.fields.get(name)
        return None if field is None else field.contents()

    def _check(self) -> None:
        architecture = ARCHITECTURES[self.config.family]
        if (found := self._field("general.architecture")) != architecture:
            raise InputError(f"{self._file}: has architecture {found}, config.json {architecture}")
        prefix = f"{architecture}."
        sizes = {
            "block_count": self.config.n_layers,
            "attention.head_count": self.config.n_heads,
            "rope.freq_base": next(
                (k.rope.theta for k in self.config.kinds if k.rope and not k.window), None
            ),
        }
        for name, size in sizes.items():
            value = self._field(prefix + name)
            if value is not None and size is not None and value != size:
                raise InputError(f"{self._file}: has {name} {value}, config.json {size}")
        for (path, _), name in self._names.items():
            tensor = self._tensors.get(name)
            if tensor is None:
                raise InputError(f"{self._file}: tensor {name} missing")
            shape = tuple(int(size) for size in reversed(tensor.shape))
            if shape != tensor_shape(self.config, path):
                raise InputError(
                    f"{self._file}: tensor {name} has shape {list(shape)}, config.json requires "
                    f"{list(tensor_shape(self.config, path))}"
                )

    @functools.cached_property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the file."""
        return Fingerprint.of({self._file})

    def dtype_of(self, path: str, layer: int = 0) -> np.dtype:
        """float32."""
        del path, layer
        return np.dtype(np.float32)

    def share(self, path: str, layer: int = 0) -> dict[str, np.ndarray]:
        """The complete part: every process reads the file."""
        below = [name for name in shapes(self.config) if name.startswith(path + "/")]
        return {name: check_finite(self._parameter(name, layer), name, layer) for name in below}

    def joined(self, path: str, share: Any, layer: int = 0) -> dict[str, Any]:
        """The share, which is complete."""
        del layer
        leaves = {name.removeprefix(path + "/"): leaf for name, leaf in share.items()}
        return unflatten_dict(leaves, sep="/")

    def embed_rows(self, tokens: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        """Embedding parameters with only the rows of these tokens, and the tokens as indices of those rows."""
        ids, indices = np.unique(tokens, return_inverse=True)
        below = [name for name in shapes(self.config) if name.startswith("embed/")]
        others = {name: self._parameter(name) for name in below if name != "embed/tokens"}
        tree = self.joined("embed", {"embed/tokens": self._rows("embed/tokens", ids), **others})
        return tree, indices.astype(np.int32)

    def head_rows(self, tokens: np.ndarray) -> np.ndarray:
        """Rows of the head, or of the embedding that it is tied to, [N, D]."""
        return self._rows("embed/tokens" if self.config.tied_head else "head/kernel", tokens)

    def copy_unpruned(self, shards: ShardWriter) -> None:
        """Writes embedding and head, dequantized."""
        for part in ("embed", "head"):
            shards.write(to_stored(self.config, self.joined(part, self.share(part)), part))

    def record(self, path: str, layer: int = 0) -> Quantized:
        """A kernel [in, out] on one of the package's grids that have levels, as it is stored."""
        tensor = self._tensors[self._names[path, layer]]
        grid = GRIDS[tensor.tensor_type.name.lower()]
        return grid.unpack(reordered(self.config, path, np.asarray(tensor.data), back=True))

    def _rows(self, path: str, tokens: np.ndarray) -> np.ndarray:
        tensor = self._tensors[self._names[path, 0]]
        return check_finite(self._dequantized(tensor, np.asarray(tensor.data[tokens])), path)

    def _parameter(self, path: str, layer: int = 0) -> np.ndarray:
        name = path.rpartition("/")[2]
        if name in XIELU:
            values = self._field(f"xielu.{name}")
            value = values[layer] if isinstance(values, list) else values
            return np.full(shapes(self.config)[path], value, np.float32)
        tensor = self._tensors[self._names[path, layer]]
        array = self._dequantized(tensor, tensor.data).reshape(tensor_shape(self.config, path))
        array = reordered(self.config, path, array, back=True)
        return np.ascontiguousarray(array.T) if path.endswith("/kernel") else array

    def _dequantized(self, tensor: Any, data: np.ndarray) -> np.ndarray:
        import gguf

        try:
            return gguf.dequantize(data, tensor.tensor_type).astype(np.float32, copy=False)
        except NotImplementedError:
            raise InputError(
                f"{self._file}: tensor {tensor.name} is {tensor.tensor_type.name}, which the library gguf cannot "
                "dequantize"
            ) from None
