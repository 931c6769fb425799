"""A model → model.gguf, the file that llama.cpp and programs built on it read, tensor by tensor."""

import tempfile
from collections.abc import Mapping, Sequence
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
from jaxprune.hf.rounded import Rounded
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids.grid import Weight


class GgufWriter:
    """Writes a model tensor by tensor, one block after the other; packed values dequantize to the very weights.

    Args:
      model: its embedding and head are written; see `Rounded.records` for those on a grid.
      types: the grids of kernels and embedding. All other parameters become float32.
      file: file to write, which is complete when the writer is closed.

    Raises:
      InputError: a model or tokenizer that llama.cpp does not have.
    """

    def __init__(self, model: Model, types: Types, file: Path) -> None:
        check_architecture(model.config)
        self._model, self._types, self._file = model, types, file
        self._xielu = list[dict[str, float]]()  # of each block, as they may differ from the model's
        self._writer = _with_header(model, types, file)
        self._names = [(path, layer) for _, path, layer in tensor_names(model.config)]
        self._write_table("embed")

    def write_block(self, block: Mapping[str, Weight], layer: int) -> None:
        """Writes the next block.

        Args:
          block: its parameters by path; kernels on a grid are records, or arrays for which one is solved.

        Raises:
          ValueError: a kernel is not on its grid.
        """
        for path, its_layer in self._names:
            if its_layer == layer and path.startswith("blocks/"):
                self._write(path, layer, block[path.removeprefix("blocks/")])
        self._xielu.append(_xielu_of(self._model.config, block))

    def close(self) -> None:
        """Writes the head, and completes the file."""
        self._write_table("head")
        for array in extra_tensors(self._model.config).values():
            self._writer.write_tensor_data(array)
        self._writer.close()
        _set_xielu(self._file, self._xielu)

    def _write_table(self, part: str) -> None:
        """Writes the embedding or the head with their norms."""
        source = self._model.source
        params = source.records(part) if isinstance(source, Rounded) else self._model.part(part)
        tree = flatten_dict(params, sep="/")
        for path, _ in self._names:
            if path.startswith(f"{part}/"):
                self._write(path, 0, tree[path.partition("/")[2]])

    def _write(self, path: str, layer: int, weight: Weight) -> None:
        config = self._model.config
        grid = self._types.grid_of(config, path, layer)
        self._writer.write_tensor_data(stored_tensor(config, path, weight, grid))


def write_gguf(
    model: Model, types: Types, file: Path, records: Sequence[Mapping[str, Weight]] | None = None
) -> None:
    """Writes a model whose weights are on the grids of the file, with one block in memory; see `GgufWriter`.

    Args:
      records: for each layer its kernels on grids, by path; None to solve for them.
    """
    writer = GgufWriter(model, types, file)
    for layer in range(model.config.n_layers):
        block = flatten_dict(dict(model.block(layer)), sep="/")
        writer.write_block({**block, **(records[layer] if records else {})}, layer)
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
    if config.family == "apertus":  # the numbers follow
        for name in XIELU:
            getattr(writer, f"add_xielu_{name}")([0.0] * config.n_layers)
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


def _xielu_of(config: ModelConfig, block: Mapping[str, Weight]) -> dict[str, float]:
    """The parameters of Apertus' activation by name, which are fields of the file; empty for other families."""
    if config.family != "apertus":
        return {}
    return {name: float(np.asarray(block[f"mlp/{name}"], np.float32).item()) for name in XIELU}


def _set_xielu(file: Path, layers: Sequence[Mapping[str, float]]) -> None:
    """Sets the fields of Apertus' activation, a number a layer."""
    import gguf

    if not layers[0]:
        return
    reader = gguf.GGUFReader(file, "r+")
    for name in XIELU:
        field = reader.fields[f"xielu.{name}"]
        for place, values in zip(field.data, layers, strict=True):
            field.parts[place][0] = values[name]
