"""The weights of one model on disk → the package's parameter trees, part by part."""

import functools
import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.base.errors import InputError
from jaxprune.devices import hosts
from jaxprune.hf.aligned import aligned_copy
from jaxprune.hf.fingerprint import FileState, Fingerprint
from jaxprune.hf.finite import check_finite
from jaxprune.hf.shards import ShardWriter, Specs
from jaxprune.hf.tensor_index import find_tensors
from jaxprune.hf.tensors import StoredTensor
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import family_of, modules
from jaxprune.models.trees import Params

HEAD_TENSOR = "lm_head.weight"
STORED = ("float32", "float16", "bfloat16")  # dtypes of a checkpoint


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter by path; for blocks the shapes of one block, without L."""
    embed, block, head = (abstract for _, abstract in modules(config))
    tree = flatten_dict({"embed": embed, "blocks": block, "head": head}, sep="/")
    return {path: leaf.shape for path, leaf in tree.items()}


def size(config: ModelConfig) -> int:
    """Number of parameters of a model."""
    return sum(
        math.prod(shape) * (config.n_layers if path.startswith("blocks/") else 1)
        for path, shape in shapes(config).items()
    )


def entries(config: ModelConfig) -> Iterator[tuple[str, int]]:
    """Path and layer of every parameter; parts and layers in order of the forward pass, layer 0 outside the blocks."""
    for part, part_paths in itertools.groupby(shapes(config), lambda path: path.split("/", 1)[0]):
        paths = list(part_paths)
        for layer in range(config.n_layers if part == "blocks" else 1):
            yield from ((path, layer) for path in paths)


def stored_name(config: ModelConfig, path: str, layer: int = 0) -> str:
    """Name of a parameter in a checkpoint, without the base model's prefix."""
    if path == "head/kernel":
        return HEAD_TENSOR
    return family_of(config).tensors[path].format(i=layer)


def exported_name(config: ModelConfig, path: str, layer: int = 0) -> str:
    """Name of a parameter in a checkpoint of transformers, with the base model's prefix."""
    name = stored_name(config, path, layer)
    return name if name == HEAD_TENSOR else family_of(config).prefix + name


def exported_specs(config: ModelConfig, dtype_of: Callable[[str, int], np.dtype]) -> Specs:
    """Names, shapes and dtypes of a checkpoint of the model.

    Args:
      dtype_of: path and layer → the dtype of the parameter in the checkpoint.
    """
    by_path = stored_shapes(config)
    return {
        exported_name(config, path, layer): (by_path[path], dtype_of(path, layer))
        for path, layer in entries(config)
    }


def is_transposed(config: ModelConfig, path: str) -> bool:
    """Whether a checkpoint stores this parameter as [out, in]."""
    return path == "head/kernel" or (path.endswith("/kernel") and family_of(config).transposed)


def stored_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """`shapes` in a checkpoint, with some kernels as [out, in]."""
    return {
        path: shape[::-1] if is_transposed(config, path) else shape
        for path, shape in shapes(config).items()
    }


class Weights:
    """The parameters in a Hugging Face folder. Opening checks every name and shape.

    It reads no tensor but a second copy of a tied head, which must equal the embedding: transformers would not tie them
    otherwise.

    Reads reject NaN and infinity.

    Args:
      config: the model's config.
      folder: contains config.json and the tensor files.
      opened: states of the model's files before any was opened, see `Fingerprint.of`.

    Raises:
      InputError: a tensor is missing, unexpected, of another shape, or a tied head that differs; names file and tensor.
    """

    def __init__(
        self, config: ModelConfig, folder: Path, opened: Mapping[Path, FileState] | None = None
    ) -> None:
        self.config = config
        self._folder = folder
        self._opened = opened
        self._shapes = stored_shapes(config)
        self._tensors = find_tensors(folder)
        self._stored_names = {self._bare(name): name for name in self._tensors}
        self._check_tensors()
        if config.tied_head and HEAD_TENSOR in self._stored_names:
            head = self._tensors[self._stored_names[HEAD_TENSOR]]
            self._check_tied(head, self._tensor("embed/tokens"))

    def _tensor(self, path: str, layer: int = 0) -> StoredTensor:
        return self._tensors[self._stored_names[stored_name(self.config, path, layer)]]

    def dtype_of(self, path: str, layer: int = 0) -> np.dtype:
        """The stored dtype."""
        return self._tensor(path, layer).dtype

    @functools.cached_property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of config.json and the files of the tensors, taken at the first use."""
        files = {tensor.file for tensor in self._tensors.values()}
        return Fingerprint.of({*files, self._folder / "config.json"}, self._opened)

    def share(self, path: str, layer: int = 0) -> dict[str, np.ndarray]:
        """The share of this process of the rows of every tensor, as stored; scalars completely."""
        arrays = {}
        for below in self._below(path):
            tensor = self._tensor(below, layer)
            rows = np.array(hosts.share(tensor.shape[0] if tensor.shape else 1))
            array = tensor.rows(rows) if tensor.shape else tensor.read()
            arrays[below] = check_finite(array, below, layer)
        return arrays

    def joined(self, path: str, share: Mapping[str, np.ndarray], layer: int = 0) -> dict[str, Any]:
        """Gathers the rows of every tensor from all processes."""
        del layer
        leaves = {}
        for below, rows in share.items():
            array = hosts.gather_shares(rows, self._shapes[below][0]) if rows.shape else rows
            leaf = aligned_copy(array.T) if is_transposed(self.config, below) else array
            leaves[below.removeprefix(path + "/")] = leaf
        return unflatten_dict(leaves, sep="/")

    def _below(self, path: str) -> list[str]:
        return [name for name in self._shapes if name.startswith(path + "/")]

    def head_rows(self, tokens: np.ndarray) -> np.ndarray:
        """Rows of the head's kernel, or of the embedding that it is tied to, [N, D]."""
        path = "embed/tokens" if self.config.tied_head else "head/kernel"
        return check_finite(self._tensor(path).rows(tokens), path)

    def embed_rows(self, tokens: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        """Embedding parameters with only the rows of these tokens, and the tokens as indices of those rows.

        A calibration set has a few thousand of BLOOM's 250,880 tokens; the table is half of the model's bytes.
        """
        ids, indices = np.unique(tokens, return_inverse=True)
        leaves = {}
        for path in self._below("embed"):
            tensor = self._tensor(path)
            array = tensor.rows(ids) if path == "embed/tokens" else tensor.read()
            leaves[path.removeprefix("embed/")] = check_finite(array, path)
        return unflatten_dict(leaves, sep="/"), indices.astype(np.int32)

    def copy_unpruned(self, shards: ShardWriter) -> None:
        """Embedding and head, copied from the files in bounded memory."""
        for path in [*self._below("embed"), *self._below("head")]:
            name, tensor = exported_name(self.config, path), self._tensor(path)
            chunks = (check_finite(chunk, path) for chunk in tensor.chunks())
            shards.write_chunks(name, tensor.shape, tensor.dtype, chunks)

    def _bare(self, name: str) -> str:
        """A tensor's name without its prefix."""
        family = family_of(self.config)
        prefixes = (*family.other_prefixes, family.prefix)
        return name.removeprefix(next((p for p in prefixes if name.startswith(p)), ""))

    def _check_tensors(self) -> None:
        if self.config.n_layers > len(self._tensors):  # before a name is made for each
            raise InputError(
                f"{self._folder}: config.json requires {self.config.n_layers} layers, the files have "
                f"{len(self._tensors)} tensors"
            )
        expected = {
            stored_name(self.config, path, layer): path for path, layer in entries(self.config)
        }
        stored_names = self._stored_names
        if len(stored_names) < len(self._tensors):
            twice = next(n for n in self._tensors if stored_names[self._bare(n)] != n)
            raise InputError(f"{self._folder}: tensor {twice} exists with and without prefix")
        if missing := [name for name in expected if name not in stored_names]:
            raise InputError(f"{self._folder}: {_several(missing)} missing")
        tied = [re.escape(HEAD_TENSOR)] if self.config.tied_head else []
        ignored = [*family_of(self.config).ignored, *tied]
        unexpected = [
            name
            for bare, name in stored_names.items()
            if bare not in expected and not any(re.fullmatch(p, bare) for p in ignored)
        ]
        if unexpected:
            file = self._tensors[unexpected[0]].file
            raise InputError(
                f"{file}: {_several(unexpected)} not expected in a {self.config.family} model"
            )
        for bare, path in expected.items():
            name, shape = stored_names[bare], self._shapes[path]
            tensor = self._tensors[name]
            if tensor.shape != shape:
                raise InputError(
                    f"{tensor.file}: tensor {name} has shape {list(tensor.shape)}, config.json requires {list(shape)}"
                )
            if tensor.dtype.name not in STORED:
                raise InputError(
                    f"{tensor.file}: tensor {name} is {tensor.dtype.name}, expected float32, float16 or bfloat16"
                )

    def _check_tied(self, head: StoredTensor, embedding: StoredTensor) -> None:
        """Rejects a head that differs from the embedding; one tensor under both names is not read."""
        if head == embedding:
            return
        same = (head.shape, head.dtype) == (embedding.shape, embedding.dtype)
        pairs = zip(head.chunks(), embedding.chunks(), strict=True) if same else ()
        if not same or not all(itertools.starmap(np.array_equal, pairs)):
            raise InputError(
                f"{head.file}: {HEAD_TENSOR} differs from the embedding, to which config.json ties it; "
                "set tie_word_embeddings to false"
            )


def _several(names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    return f"tensor{'s' if len(names) > 1 else ''} {shown}"


def to_stored(
    config: ModelConfig, params: Params, part: str, layer: int = 0
) -> dict[str, np.ndarray]:
    """A part's parameters by their names in a checkpoint of transformers, kernels as stored."""
    out = {}
    for path, leaf in flatten_dict(dict(params), sep="/").items():
        full = f"{part}/{path}"
        array = np.asarray(leaf)
        out[exported_name(config, full, layer)] = array.T if is_transposed(config, full) else array
    return out


def stack_layers(layers: list[Any]) -> dict[str, Any]:
    """The parameters of all blocks as leaves [L, …]; different dtypes are promoted to one that represents all values.

    Args:
      layers: a nested dict per block; the list is emptied, so that it holds no parameter a second time.
    """
    flat = [flatten_dict(layer) for layer in layers]
    layers.clear()
    stacked = {}
    for path in list(flat[0]):
        leaves = [np.asarray(layer.pop(path)) for layer in flat]
        common = functools.reduce(jnp.promote_types, {leaf.dtype for leaf in leaves})
        stacked[path] = np.stack([leaf.astype(common, copy=False) for leaf in leaves])
    return unflatten_dict(stacked)
