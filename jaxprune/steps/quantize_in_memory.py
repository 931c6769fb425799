"""A model in memory → its quantized one, and model.gguf."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from jaxprune.base.errors import InputError, check_equal
from jaxprune.base.schema import OUTPUT_PATH, check, checked
from jaxprune.base.text import NotebookTable, Table, percent
from jaxprune.data.batches import Batch
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.gguf.write import write_gguf
from jaxprune.hf.model import Model, check_model
from jaxprune.hf.overlay import overlaid
from jaxprune.models.grids.grid import Weight
from jaxprune.models.masks import pack
from jaxprune.models.model import kernel_shapes
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.models.trees import MaskTree
from jaxprune.pruning.allocated import measure_blocks
from jaxprune.pruning.loop import prune_blocks
from jaxprune.pruning.quantization import QuantizeFields, check_zero, with_rounded_tables
from jaxprune.pruning.result import stacked_result
from jaxprune.pruning.settings import Settings
from jaxprune.stats.probe import SAMPLES_PER_DEVICE


@dataclasses.dataclass(frozen=True, repr=False)
class QuantizeResult(NotebookTable):
    """The result of `quantize`, in memory.

    Attributes:
      model: the quantized model, in float32.
      grids: the grids of the kernels and of the embedding.
      records: for each layer the kernels on their grids, by path.
      errors: for each layer the share of the squared outputs of each kernel that rounding changes, by path.
    """

    model: Model
    grids: Types
    records: list[dict[str, Weight]]
    errors: list[dict[str, float]]

    def save(self, file: str | Path) -> None:
        """Writes the model for llama.cpp.

        Raises:
          InputError: a file of this name exists, or llama.cpp does not have the model or its tokenizer.
        """
        check("file", file, OUTPUT_PATH)
        path = Path(file).expanduser()
        if path.exists():
            raise InputError(f"{path}: already exists; choose another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.new")
        write_gguf(self.model, self.grids, unfinished, self.records)
        unfinished.replace(path)

    def _shown(self) -> tuple[str, list[Table]]:
        means = {
            path: sum(layer[path] for layer in self.errors) / len(self.errors)
            for path in self.errors[0]
        }
        rows = [[path.removesuffix("/kernel"), percent(mean, 2)] for path, mean in means.items()]
        by_layer = self.grids.by_layer
        names = {name for layer in by_layer for name in layer.values()} or {
            self.grids.kernels or ""
        }
        caption = f"kernels on {', '.join(sorted(names))}, embedding on {self.grids.embedding}"
        return caption, [Table("", ["kernel", "squared outputs changed, %"], rows)]


def quantize(
    model: Model,
    batches: Sequence[Batch] = (),
    *,
    grid: str = "q4_0",
    how: str = "gptq",
    embedding: str = "q8_0",
    size: str | None = None,
    masks: MaskTree | PackedMasks | None = None,
    combine: str = "sum",
    weights: Mapping[str, float] | str | None = None,
    dtype: str = "float32",
    mesh: Mesh | None = None,
    samples_per_device: int = SAMPLES_PER_DEVICE,
    progress: bool = True,
) -> QuantizeResult:
    """Rounds the linear layers of a model that fits into memory to a grid of llama.cpp.

    Args:
      model: dense, pruned or smaller; remains unchanged.
      batches: calibration samples; empty with `how="nearest"`.
      grid: "q4_0", "iq4_nl", "q5_0", "q8_0" or "f16".
      how: "gptq", "importance", "search" or "nearest"; `jaxprune quantize --help` explains each.
      embedding: the grid of the embedding and the head, which are rounded to nearest.
      size: of the file at most, such as "0.15GB"; kernels then have `grid` or one of more bits, where rounding changes
        predictions most.
      masks: of an earlier pruning of the model, True = keep, or the result of `masks.pack`; the weights that they drop
        stay 0.
      combine, weights: see `prune`.
      dtype: "float32" or "bfloat16", of the weights in the passes over the samples.
      mesh: devices; all by default. The result has the same bits on 1, 2, 4 and 8.
      samples_per_device: samples of a micro-batch per device.
      progress: show a bar.

    Raises:
      InputError: as `prune`; groups of 32 do not divide the inputs of a kernel; masks of another model, or with a grid
        that has no zero.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
      >>> result = jp.quantize(model, batches, progress=False)
      >>> result.save("runs/example/model.gguf")
      >>> jp.load("runs/example/model.gguf", tokenizer="nano/bloom").size == model.size
      True
    """
    check_model(model)
    fields = checked(
        QuantizeFields, {"grid": grid, "how": how, "embedding": embedding, "size": size}
    )
    packed = pack(masks) if isinstance(masks, Mapping) else masks
    if packed is not None:
        model = _masked(model, packed, fields)
    in_float32 = with_rounded_tables(model, fields)
    settings = Settings(
        criterion=fields.method, sparsity=0.0, allocation=fields.allocation, combine=combine,
        weights=weights, dtype=dtype,
    )  # fmt: skip
    options: dict[str, Any] = {
        "mesh": mesh, "samples_per_device": samples_per_device, "progress": progress,
    }  # fmt: skip
    measured = measure_blocks(in_float32, batches, settings, **options)
    blocks = list(
        prune_blocks(in_float32, batches, settings, measured=measured, masks=packed, **options)
    )
    errors = [dict(block.finished.errors) for block in blocks]
    records = [dict(block.finished.changed) for block in blocks]
    params = stacked_result(in_float32, blocks, batches).params
    grids = fields.types(in_float32, measured)
    return QuantizeResult(model.replace(params), grids, records, errors)


def _masked(model: Model, masks: PackedMasks, fields: QuantizeFields) -> Model:
    """The model without the weights that masks drop; rejects masks of another model, and a grid without a zero."""
    check_zero(fields, "masks")
    layers, shapes = model.config.n_layers, kernel_shapes(model.config)
    own = {path: (layers, *shape) for path, shape in shapes.items()}
    check_equal("masks", own, masks.shapes, "masks of this model")
    return overlaid(model, masks)
