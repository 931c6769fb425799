"""The tensors of a Hugging Face folder and their files."""

import re
from collections.abc import Mapping
from pathlib import Path

from jaxprune.base.errors import InputError, shown
from jaxprune.base.files.outside import read_json
from jaxprune.hf import safetensors_header, torch_bin
from jaxprune.hf.tensors import StoredTensor

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_LAYOUTS = (SINGLE, INDEX, "pytorch_model.bin", "pytorch_model.bin.index.json")  # as transformers


def find_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Reads the headers of model.safetensors, its shards, pytorch_model.bin or its shards.

    Raises:
      InputError: no such file, a damaged one, or an index that contradicts its shards.
    """
    path = next((path for name in _LAYOUTS if (path := folder / name).is_file()), None)
    if path is None:
        raise InputError(f"{folder}: no weights: none of {', '.join(_LAYOUTS)}")
    return _read_shards(path) if path.suffix == ".json" else _read_header(path)


def _read_header(path: Path) -> dict[str, StoredTensor]:
    with path.open("rb") as file:
        if file.read(24) == b"version https://git-lfs.":
            raise InputError(f"{path}: a Git LFS pointer, not the weights; run `git lfs pull`")
    read = safetensors_header if path.suffix == ".safetensors" else torch_bin
    return read.read_header(path)


def _read_shards(index: Path) -> dict[str, StoredTensor]:
    weight_map = _weight_map(index)
    tensors: dict[str, StoredTensor] = {}
    for shard in dict.fromkeys(weight_map.values()):
        path = index.parent / shard
        if not path.is_file():
            first = next(name for name in weight_map if weight_map[name] == shard)
            raise InputError(f"{path} is missing; {index.name} places tensor {shown(first)} there")
        for name, info in _read_header(path).items():
            if name in tensors:
                other = tensors[name].file.name
                raise InputError(f"{path}: tensor {shown(name)} is also in {other}")
            tensors[name] = info
    for name, shard in weight_map.items():
        if name not in tensors or tensors[name].file.name != shard:
            raise InputError(
                f"{index.parent / shard}: has no tensor {shown(name)}, which {index.name} places there"
            )
    return tensors


def _weight_map(index: Path) -> Mapping[str, str]:
    """An index's map from tensors to shards, which are plain names of files in this folder."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise InputError(f"{index}: must have a weight_map from tensors to files")
    suffix = ".bin" if index.name.endswith(".bin.index.json") else ".safetensors"
    plain_name = re.compile(rf"[\w.-]{{1,200}}\{suffix}", re.ASCII)
    for name, shard in weight_map.items():
        if not (isinstance(shard, str) and plain_name.fullmatch(shard)):
            raise InputError(
                f"{index}: places tensor {shown(name)} in {shown(shard)}; must be the plain name of a "
                f"{suffix} file of this folder"
            )
    return weight_map
