"""The config fields `quantize.*`, and the check that a grid fits a model."""

from jaxprune.base.errors import InputError
from jaxprune.base.schema import choice, config_record
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids import GRIDS, Grid
from jaxprune.models.grids.grid import BLOCK
from jaxprune.models.model import kernel_shapes
from jaxprune.pruning.method import Method
from jaxprune.pruning.roundings import ROUNDINGS
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
    """Rejects grids whose blocks do not divide the inputs of a kernel, or the rows of the embedding.

    Raises:
      InputError: names the field, the kernel and the grid that fits.
    """
    widths = {("grid", path): shape[0] for path, shape in kernel_shapes(config).items()}
    widths["embedding", "the embedding"] = config.d_model
    for (field, name), width in widths.items():
        grid: Grid = GRIDS[getattr(fields, field)]
        if grid.levels and width % BLOCK:
            raise InputError(
                f"quantize.{field}: {name} has {width} inputs, which blocks of {BLOCK} do not divide; expected f16"
            )
