"""The config fields `quantize.*`, and models whose embedding and head are on their grid."""

import functools

from jaxprune.base.errors import InputError
from jaxprune.base.schema import choice, config_record
from jaxprune.hf.gguf.architecture import check_architecture
from jaxprune.hf.model import Model
from jaxprune.hf.rounded import rounded
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids import GRIDS, Grid
from jaxprune.models.grids.grid import BLOCK
from jaxprune.models.model import kernel_shapes
from jaxprune.pruning.method import Method
from jaxprune.pruning.roundings import ROUNDINGS
from jaxprune.pruning.roundings.nearest import nearest_rows
from jaxprune.pruning.roundings.rounding import rounding_method

_NEAREST = "nearest"


@config_record
class QuantizeFields:
    """The fields `quantize.*`."""

    grid: str = choice(
        GRIDS,
        "q4_0",
        "grid of the blocks' linear layers: "
        + "; ".join(f"`{g.name}`, {g.meaning}" for g in GRIDS.values()),
    )
    how: str = choice(
        ROUNDINGS, "gptq", "; ".join(f"`{r.name}`, {r.meaning}" for r in ROUNDINGS.values())
    )
    embedding: str = choice(GRIDS, "q8_0", "grid of the embedding and the head, rounded to nearest")

    @property
    def method(self) -> Method:
        """The method that rounds kernels; numbers without scale are rounded to nearest."""
        grid = GRIDS[self.grid]
        return rounding_method(ROUNDINGS[self.how if grid.levels else _NEAREST], grid)


def check_grids(config: ModelConfig, fields: QuantizeFields) -> None:
    """Rejects a model that llama.cpp does not have, and grids whose blocks do not divide its kernels or embedding.

    Raises:
      InputError: names the attribute, or the field, the kernel and the grid that fits.
    """
    check_architecture(config)
    widths = {("grid", path): shape[0] for path, shape in kernel_shapes(config).items()}
    widths["embedding", "the embedding"] = config.d_model
    for (field, name), width in widths.items():
        grid: Grid = GRIDS[getattr(fields, field)]
        if grid.levels and width % BLOCK:
            raise InputError(
                f"quantize.{field}: {name} has {width} inputs, which blocks of {BLOCK} do not divide; expected f16"
            )


def with_rounded_tables(model: Model, fields: QuantizeFields) -> Model:
    """The model in float32 with embedding and head on their grid; raises as `check_grids`."""
    check_grids(model.config, fields)
    return rounded(model, functools.partial(nearest_rows, grid=GRIDS[fields.embedding]))
