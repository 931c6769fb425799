"""The weights of one model, on disk: opened lazily, read part by part into the package's parameter trees."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.hf.aligned import aligned_empty
from jaxprune.hf.fingerprint import FileState, Fingerprint
from jaxprune.hf.finite import check_finite
from jaxprune.hf.shards import ShardWriter, Specs
from jaxprune.hf.tensors import TensorFiles
from jaxprune.models import ModelConfig, Params, family_of, modules

HEAD_TENSOR = "lm_head.weight"
STORED = ("float32", "float16", "bfloat16")  # dtypes of a checkpoint


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter by path; those of blocks are of one block, without L."""
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
    """Path and layer of every parameter, as data meets them; 0 outside the blocks."""
    by_part: dict[str, list[str]] = {}
    for path in shapes(config):
        by_part.setdefault(path.split("/", 1)[0], []).append(path)
    yield from ((path, 0) for path in by_part["embed"])
    for layer in range(config.n_layers):
        yield from ((path, layer) for path in by_part["blocks"])
    yield from ((path, 0) for path in by_part["head"])


def stored_name(config: ModelConfig, path: str, layer: int = 0) -> str:
    """Name of a parameter in a checkpoint, without the base model's prefix."""
    if path == "head/kernel":
        return HEAD_TENSOR
    return family_of(config).tensors[path].format(i=layer)


def exported_name(config: ModelConfig, path: str, layer: int = 0) -> str:
    """Its name in a checkpoint as transformers saves it, with the base model's prefix."""
    name = stored_name(config, path, layer)
    return name if name == HEAD_TENSOR else family_of(config).prefix + name


def exported_specs(config: ModelConfig, dtype_of: Callable[[str, int], np.dtype]) -> Specs:
    """What a checkpoint of the model holds.

    Args:
      dtype_of: path and layer → the dtype that the parameter will be written in.
    """
    by_path = shapes(config)
    return {
        exported_name(config, path, layer): (
            by_path[path][::-1] if is_transposed(config, path) else by_path[path],
            dtype_of(path, layer),
        )
        for path, layer in entries(config)
    }


def is_transposed(config: ModelConfig, path: str) -> bool:
    """Whether a checkpoint holds this parameter as [out, in]."""
    return path == "head/kernel" or (path.endswith("/kernel") and family_of(config).transposed)


class Weights:
    """A checkpoint seen through a config: every name and shape is checked on opening, no tensor is read.

    What is read later is refused where it holds NaN or infinity.

    Args:
      config: of the model.
      files: the opened tensor files.
      opened: what the system told of the model's files before any was opened, see `Fingerprint.of`.

    Raises:
      InputError: a tensor is missing, unexpected or of another shape; names file and tensor.
    """

    def __init__(
        self,
        config: ModelConfig,
        files: TensorFiles,
        opened: Mapping[Path, FileState] | None = None,
    ) -> None:
        self.config = config
        self.files = files
        self._opened = opened
        self._shapes = shapes(config)
        self._held = {
            self._bare(name): name for name in files.names
        }  # names without and with prefix
        self._check_names()
        for path, layer in entries(config):
            self._check_shape(path, layer)

    @classmethod
    def open(
        cls, config: ModelConfig, folder: Path, opened: Mapping[Path, FileState] | None = None
    ) -> Weights:
        """Opens the tensor files of a Hugging Face folder."""
        return cls(config, TensorFiles.open(folder), opened)

    def name(self, path: str, layer: int = 0) -> str:
        """The name under which this checkpoint holds a parameter (with a prefix or without)."""
        bare = stored_name(self.config, path, layer)
        return self._held.get(bare, bare)

    def paths(self, *parts: str) -> list[str]:
        """Paths of the parameters of "embed", "blocks" or "head"."""
        return [path for path in self._shapes if path.split("/", 1)[0] in parts]

    def read(self, path: str, layer: int = 0) -> np.ndarray:
        """One parameter in its stored dtype, kernels as [in, out]."""
        array = self.files.read(self.name(path, layer))
        check_finite(array, path, layer)
        return transposed(array) if is_transposed(self.config, path) else array

    def part(self, path: str, layer: int = 0) -> dict[str, Any]:
        """All parameters below a path, such as "embed", "head" or "blocks" (of one of them), as a nested dict.

        Of several processes each reads its share, so all must ask.
        """
        return self.joined(path, self.share(path, layer))

    def dtype_of(self, path: str, layer: int = 0) -> np.dtype:
        """As it is stored."""
        return self.files.info(self.name(path, layer)).dtype

    def block_share(self, layer: int) -> dict[str, np.ndarray]:
        """What this process reads of a block."""
        return self.share("blocks", layer)

    def block_of(self, layer: int, share: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """A block, out of what `block_share` read in each process."""
        del layer
        return self.joined("blocks", share)

    @functools.cached_property
    def fingerprint(self) -> Fingerprint:
        """Of config.json and the files that hold the tensors, when it is first asked for."""
        files = {info.file for info in self.files.tensors.values()}
        return Fingerprint.of({*files, self.files.folder / "config.json"}, self._opened)

    def share(self, path: str, layer: int = 0) -> dict[str, np.ndarray]:
        """What this process reads of `part`: of every tensor, as stored, its share of the rows."""
        arrays = {}
        for below in self._below(path):
            if not self._shapes[below]:  # a number has no rows to share out
                arrays[below] = self.read(below, layer)
                continue
            rows = hosts.share(self.files.info(self.name(below, layer)).shape[0])
            arrays[below] = self._rows(below, np.arange(rows.start, rows.stop), layer)
        return arrays

    def joined(self, path: str, share: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What `part` returns, out of the shares of all processes."""
        leaves = {}
        for below in self._below(path):
            if not self._shapes[below]:
                leaves[below.removeprefix(path + "/")] = share[below]
                continue
            axis = -1 if is_transposed(self.config, below) else 0
            array = hosts.gather_shares(share[below], self._shapes[below][axis])
            leaves[below.removeprefix(path + "/")] = transposed(array) if axis else array
        return unflatten_dict(leaves, sep="/")

    def _rows(self, path: str, indices: np.ndarray, layer: int = 0) -> np.ndarray:
        """Rows of a parameter as it is stored."""
        array = self.files.rows(self.name(path, layer), indices)
        check_finite(array, path, layer)
        return array

    def _below(self, path: str) -> list[str]:
        return [name for name in self._shapes if name.startswith(path + "/")]

    def head_rows(self, tokens: np.ndarray) -> np.ndarray:
        """Rows of the head's kernel, or of the embedding that it is tied to, [N, D]."""
        path = "embed/tokens" if self.config.tied_head else "head/kernel"
        return self._rows(path, tokens)

    def embed_rows(self, tokens: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        """Embedding parameters that hold the rows of these tokens only, and the tokens as indices of those rows.

        A calibration set meets a few thousand of BLOOM's 250,880 tokens; the table is half of its bytes.
        """
        ids, indices = np.unique(tokens, return_inverse=True)
        table = self._rows("embed/tokens", ids)
        others = {
            path.removeprefix("embed/"): self.read(path)
            for path in self.paths("embed")
            if path != "embed/tokens"
        }
        embed = unflatten_dict(others, sep="/") | {"tokens": table}
        return embed, indices.reshape(tokens.shape).astype(np.int32)

    def all(self) -> dict[str, Any]:
        """Every parameter, blocks stacked [L, …]."""
        layers = [self.part("blocks", i) for i in range(self.config.n_layers)]
        return {
            "embed": self.part("embed"),
            "blocks": stack_layers(layers),
            "head": self.part("head"),
        }

    def copy_unpruned(self, shards: ShardWriter) -> None:
        """Embedding and head, copied from the files in bounded memory."""
        paths = {self.name(path): path for path in self.paths("embed", "head")}
        names = {stored: exported_name(self.config, path) for stored, path in paths.items()}
        shards.copy(self.files, names, look=lambda name, part: check_finite(part, paths[name]))

    def _bare(self, name: str) -> str:
        """A tensor's name without the prefix that it has."""
        family = family_of(self.config)
        prefixes = (*family.other_prefixes, family.prefix)
        return name.removeprefix(next((p for p in prefixes if name.startswith(p)), ""))

    def _check_names(self) -> None:
        if self.config.n_layers > len(self.files.names):  # before names are made for all of them
            raise InputError(
                f"{self.files.folder}: config.json asks for {self.config.n_layers} layers, there are "
                f"{len(self.files.names)} tensors in all"
            )
        expected = {
            stored_name(self.config, path, layer): path for path, layer in entries(self.config)
        }
        held = self._held
        if len(held) < len(self.files.names):
            twice = next(n for n in self.files.names if held[self._bare(n)] != n)
            raise InputError(
                f"{self.files.folder}: tensor {twice} is there with and without prefix"
            )
        if missing := [name for name in expected if name not in held]:
            raise InputError(f"{self.files.folder}: {_several('tensor', missing)} missing")
        ignored = (
            *family_of(self.config).ignored,
            *((re.escape(HEAD_TENSOR),) if self.config.tied_head else ()),
        )
        unexpected = [
            name
            for bare, name in held.items()
            if bare not in expected and not any(re.fullmatch(p, bare) for p in ignored)
        ]
        if unexpected:
            file = self.files.info(unexpected[0]).file
            raise InputError(
                f"{file}: {_several('tensor', unexpected)} not expected in a {self.config.family} model"
            )

    def _check_shape(self, path: str, layer: int) -> None:
        name, shape = self.name(path, layer), self._shapes[path]
        info = self.files.info(name)
        expected = shape[::-1] if is_transposed(self.config, path) else shape
        if tuple(info.shape) != expected:
            raise InputError(
                f"{info.file}: tensor {name} has shape {list(info.shape)}, config.json asks for {list(expected)}"
            )
        if info.dtype.name not in STORED:
            raise InputError(
                f"{info.file}: tensor {name} is {info.dtype.name}, expected float32, float16 or bfloat16"
            )


def _several(noun: str, names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    return f"{noun}{'s' if len(names) > 1 else ''} {shown}"


def transposed(array: np.ndarray) -> np.ndarray:
    """The transpose of a matrix in C order, copied in stripes that stay in cache (twice as fast)."""
    out = aligned_empty(array.shape[::-1], array.dtype)
    for start in range(0, len(array), 256):
        out[:, start : start + 256] = array[start : start + 256].T
    return out


def to_stored(
    config: ModelConfig, params: Params, part: str, layer: int = 0
) -> dict[str, np.ndarray]:
    """A part's parameters under their checkpoint names with the base model's prefix, kernels as stored."""
    out = {}
    for path, leaf in flatten_dict(dict(params), sep="/").items():
        full = f"{part}/{path}"
        array = np.asarray(leaf)
        stored = array.T if is_transposed(config, full) else array
        out[exported_name(config, full, layer)] = stored
    return out


def stack_layers(layers: list[Any]) -> dict[str, Any]:
    """The parameters of all blocks as leaves [L, …]; where layers differ in dtype, in one that holds all values.

    Args:
      layers: nested dicts of a block each; the list is emptied, so that no parameter need be there twice.
    """
    flat = [flatten_dict(layer) for layer in layers]
    layers.clear()
    stacked = {}
    for path in list(flat[0]):
        leaves = [np.asarray(layer.pop(path)) for layer in flat]
        common = functools.reduce(jnp.promote_types, {leaf.dtype for leaf in leaves})
        stacked[path] = np.stack([leaf.astype(common, copy=False) for leaf in leaves])
    return unflatten_dict(stacked)
