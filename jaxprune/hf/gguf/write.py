"""A model → model.gguf, the file that llama.cpp and programs built on it read, tensor by tensor."""

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from jaxprune.hf.gguf.architecture import ARCHITECTURES, check_architecture, write_fields
from jaxprune.hf.gguf.tensors import (
    ALIGNMENT,
    XIELU,
    Types,
    extra_tensors,
    stored_tensor,
    tensor_names,
    tensor_shape,
    tensor_size,
    tensors_size,
)
from jaxprune.hf.gguf.tokenizer import check_tokenizer, write_tokenizer
from jaxprune.hf.model import Model


def write_gguf(model: Model, types: Types, file: Path) -> None:
    """Writes a model whose weights are on the grids of the file; packed values dequantize to the very weights.

    Args:
      types: the grids of kernels and embedding; the weights must be on them. All others become float32.
      file: file to write, which is complete when this returns.

    Raises:
      InputError: a model or tokenizer that llama.cpp does not have.
      ValueError: a parameter is not on its grid.
    """
    check_architecture(model.config)
    writer = _with_header(model, types, file)
    for array in _tensors(model, types):
        writer.write_tensor_data(array)
    writer.close()


def check_written(model: Model) -> None:
    """Rejects a model or tokenizer that llama.cpp does not have; raises InputError."""
    check_architecture(model.config)
    check_tokenizer(model)


def file_size(model: Model, types: Types) -> int:
    """Bytes of the file that `write_gguf` writes, whose weights need not be on the grids yet; raises as that."""
    check_architecture(model.config)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "header.gguf"
        _with_header(model, types, file).close()
        header = file.stat().st_size
    extra = sum(array.nbytes for array in extra_tensors(model.config).values())
    return sum(
        size + -size % ALIGNMENT for size in (header, tensors_size(model.config, types), extra)
    )


def _with_header(model: Model, types: Types, file: Path) -> Any:
    """A writer of the file, which has everything but the data of the tensors."""
    import gguf  # late: only quantization needs it

    config = model.config
    writer = gguf.GGUFWriter(file, ARCHITECTURES[config.family])
    writer.add_name(model.folder.name)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_file_type(_file_type(types.kernels))
    write_fields(writer, config)
    for name, values in _xielu_fields(model).items():
        getattr(writer, f"add_xielu_{name}")(values)
    write_tokenizer(writer, model)
    for name, path, layer in tensor_names(config):
        _add_info(writer, name, tensor_shape(config, path), types.grid_of(config, path, layer))
    for name, array in extra_tensors(config).items():
        _add_info(writer, name, array.shape, None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    return writer


def _file_type(grid: str | None) -> Any:
    import gguf

    return gguf.LlamaFileType["ALL_F32" if grid is None else f"MOSTLY_{grid.upper()}"]


def _add_info(writer: Any, name: str, shape: tuple[int, ...], grid: str | None) -> None:
    import gguf

    kind = gguf.GGMLQuantizationType["F32" if grid is None else grid.upper()]
    size = tensor_size(shape, grid)
    writer.add_tensor_info(name, shape, np.dtype(np.float32), size, raw_dtype=kind)


def _tensors(model: Model, types: Types) -> Iterator[np.ndarray]:
    """The tensors in the order of their names; one block is in memory at a time."""
    config, current, tree = model.config, None, {}
    for _, path, layer in tensor_names(config):
        part, _, name = path.partition("/")
        if (part, layer) != current:
            current, tree = (part, layer), flatten_dict(dict(model.part(part, layer)), sep="/")
        grid = types.grid_of(config, path, layer)
        yield stored_tensor(config, path, np.asarray(tree[name]), grid)
    yield from extra_tensors(config).values()


def _xielu_fields(model: Model) -> dict[str, list[float]]:
    """The parameters of Apertus' activation by name, a number a layer; empty for other families."""
    if model.config.family != "apertus":
        return {}
    read = functools.partial(model.part, "blocks/mlp")
    layers = [read(layer) for layer in range(model.config.n_layers)]
    return {
        name: [float(np.asarray(layer[name], np.float32).reshape(())) for layer in layers]
        for name in XIELU
    }
