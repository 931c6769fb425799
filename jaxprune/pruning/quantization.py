"""The config fields `quantize.*`, the grids of kernels, and models whose embedding and head are on their grid."""

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jaxprune.base.errors import InputError
from jaxprune.base.schema import choice, config_record, rule
from jaxprune.base.text import byte_size
from jaxprune.base.workdir.reading import GGUF
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.gguf.write import file_size
from jaxprune.hf.model import Model
from jaxprune.hf.rounded import with_tables
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids import GRIDS, Grid
from jaxprune.models.grids.grid import GROUP
from jaxprune.models.model import kernel_shapes
from jaxprune.pruning.allocations import UNIFORM
from jaxprune.pruning.allocations.allocation import Allocation
from jaxprune.pruning.grid_allocation import chosen_grids, measured_errors
from jaxprune.pruning.method import Method
from jaxprune.pruning.roundings import ROUNDINGS
from jaxprune.pruning.roundings.nearest import nearest_rows
from jaxprune.pruning.roundings.rounding import rounding_method

_NEAREST = "nearest"
_UNITS = {"MB": 10**6, "GB": 10**9}
_SIZE = re.compile(rf"(\d+\.?\d*|\.\d+)\s*({'|'.join(_UNITS)})")


def _bytes_of(size: str) -> int:
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise ValueError
    return round(float(match[1]) * _UNITS[match[2]])


def size_field(meaning: str) -> Any:
    """A field of a size of model.gguf, in bytes inside."""
    return rule(
        "a size such as 0.15GB or 120MB",
        lambda value: isinstance(value, str) and _SIZE.fullmatch(value.strip()) is not None,
        parse=_bytes_of,
        write=lambda size: f"{size / 1e9:.12g}GB" if size >= 1e8 else f"{size / 1e6:.12g}MB",
        meaning=meaning,
    )


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
    size: int | None = size_field(
        "of model.gguf at most; kernels then have `quantize.grid` or one of more bits, where rounding changes "
        "predictions most"
    )

    @property
    def method(self) -> Method:
        """The method that rounds kernels, all to one grid; numbers without scale are rounded to nearest."""
        return self._method_of(self.grid)

    def _method_of(self, grid: str) -> Method:
        rounding = ROUNDINGS[self.how if GRIDS[grid].levels else _NEAREST]
        return rounding_method(rounding, GRIDS[grid])

    @property
    def allocation(self) -> Allocation:
        """The allocation of grids to kernels: one for all, or with `size` by the errors that each causes."""
        if self.size is None:
            return UNIFORM

        def methods(model: Model, measured: Sequence[Any]) -> list[dict[str, Method]]:
            by_layer = self.types(model, measured).by_layer
            return [{p: self._method_of(g) for p, g in layer.items()} for layer in by_layer]

        return dataclasses.replace(
            UNIFORM,
            name="size",
            measure_model=functools.partial(measured_errors, grids=self._grids()),
            methods=methods,
        )

    def types(self, model: Model, measured: Sequence[Mapping[str, Sequence[float]]] = ()) -> Types:
        """The grids of a file.

        Args:
          measured: with `size` the result of `measured_errors`.

        Raises:
          InputError: `size` is too small.
        """
        smallest = Types(self.grid, self.embedding)
        if self.size is None:
            return smallest
        try:
            least = file_size(model, smallest)
        except InputError as error:
            raise InputError(f"quantize.size: set, but there is no {GGUF}: {error}") from None
        self.check_size(least)
        if not measured:
            return smallest
        chosen = chosen_grids(model.config, measured, self._grids(), self.size - least)
        return dataclasses.replace(smallest, by_layer=chosen)

    def check_size(self, least: int) -> None:
        """Rejects a `size` below that of a file with `grid` for all kernels, in bytes."""
        if self.size is not None and self.size < least:
            raise InputError(
                f"quantize.size: {byte_size(self.size)} is too small for {self.grid}, and {self.embedding} "
                f"of the embedding, which take {byte_size(least)}; jaxprune shrink keeps fewer tokens"
            )

    def _grids(self) -> tuple[Grid, ...]:
        """Those that kernels may have, by their bits."""
        smallest = GRIDS[self.grid]
        larger = (grid for grid in GRIDS.values() if grid.levels and grid.bits > smallest.bits)
        return (smallest, *larger)


def check_grids(config: ModelConfig, fields: QuantizeFields) -> None:
    """Rejects grids whose groups do not divide the kernels or the embedding.

    Raises:
      InputError: names the field, the kernel and the grid that fits.
    """
    if fields.size is not None and not GRIDS[fields.grid].levels:
        raise InputError(
            f"quantize.grid: got {fields.grid}; expected another grid, with quantize.size"
        )
    widths = {("grid", path): shape[0] for path, shape in kernel_shapes(config).items()}
    widths["embedding", "the embedding"] = config.d_model
    for (field, name), width in widths.items():
        grid: Grid = GRIDS[getattr(fields, field)]
        if grid.levels and width % GROUP:
            raise InputError(
                f"quantize.{field}: {name} has {width} inputs, which groups of {GROUP} do not divide; expected f16"
            )


def check_zero(fields: QuantizeFields, where: str) -> None:
    """Rejects a grid without a zero for a model of which weights were dropped.

    Args:
      where: names the masks, for the message.
    """
    grid = GRIDS[fields.grid]
    if grid.levels and 0 not in grid.levels:
        zeros = ", ".join(other.name for other in GRIDS.values() if 0 in other.levels)
        raise InputError(
            f"quantize.grid: {grid.name} has no zero, which the weights that {where} dropped need; expected one of "
            f"{zeros}"
        )


def with_rounded_tables(model: Model, fields: QuantizeFields) -> Model:
    """The model in float32 with embedding and head on their grid.

    Raises:
      InputError: as `check_grids` and `QuantizeFields.types`.
    """
    check_grids(model.config, fields)
    fields.types(model)
    return with_tables(model, functools.partial(nearest_rows, grid=GRIDS[fields.embedding]))
