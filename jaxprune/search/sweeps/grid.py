"""The field `sweep.grid`: the fields that a sweep varies, with their values, as a mapping or as a text."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxprune.base.errors import InputError, did_you_mean
from jaxprune.base.schema import Field, check, fields_of, rule
from jaxprune.steps.configs import PruneConfig, QuantizeConfig, RecoverConfig

# The field that makes a variant a recovered one; None: pruned only.
RECOVERY = "recovery.how"
PRUNING, QUANTIZE = "pruning", "quantize"
# The groups of fields that a grid may vary.
_GROUPS = (PRUNING, QUANTIZE, "calibration", "recovery")
# Fields that name files of a run, which each variant sets itself.
_FILLED = ("calibration.stats", "recovery.run")
_UNSET = "none"
_FORM = "PATH=VALUE|VALUE, several separated by spaces"

Grid = Mapping[str, tuple[Any, ...]]


def _axes() -> dict[str, Field]:
    rules = fields_of(RecoverConfig) | fields_of(QuantizeConfig) | fields_of(PruneConfig)
    axes = {
        path: field
        for path, field in rules.items()
        if path == "seed" or path.partition(".")[0] in _GROUPS
    }
    axes[RECOVERY] = dataclasses.replace(axes[RECOVERY], default=None)
    return {path: field for path, field in axes.items() if path not in _FILLED}


# The rules of all fields that a grid may vary.
AXES = _axes()


def parse_grid(grid: str | Mapping[str, Any]) -> Grid:
    """The checked values of each axis, in order.

    Args:
      grid: {path: list of values}, or a text, as `pruning.criterion=wanda|ria calibration.source=fr`.

    Raises:
      InputError: a field that cannot be an axis; a value that the field does not allow, or one that is there twice.
    """
    axes = _parse_text(grid) if isinstance(grid, str) else grid
    for path in axes:
        if path not in AXES:
            raise InputError(
                f"grid: got the axis {path!r}; expected fields of {', '.join(_GROUPS)}, or seed"
                f"{did_you_mean(path, AXES)}"
            )
    groups = {path.partition(".")[0] for path in axes}
    if {PRUNING, QUANTIZE} <= groups:
        raise InputError(
            f"grid: got axes of {PRUNING} and of {QUANTIZE}; expected two sweeps, which jaxprune compare joins"
        )
    if "recovery" in groups and RECOVERY not in axes:
        raise InputError(
            f"grid: got axes of recovery without {RECOVERY}; add {RECOVERY}=none|block"
        )
    return {path: _checked_values(path, values) for path, values in axes.items()}


def _checked_values(path: str, values: Any) -> tuple[Any, ...]:
    if not isinstance(values, list | tuple) or not values:
        raise InputError(f"grid: {path}: got {values!r}; expected a list of values")
    checked = []
    for value in values:
        plain = value.item() if isinstance(value, np.generic) else value
        try:
            checked.append(check(f"grid: {path}", plain, AXES[path]))
        except InputError as error:
            hint = "; several values are separated by |" if "," in str(plain) else ""
            raise InputError(f"{error}{hint}") from None
    texts = [value_text(path, value) for value in checked]
    for text in texts:
        if re.search(r"[\s|]", text):
            raise InputError(f"grid: {path}: got {text!r}; expected a value without spaces and |")
        if texts.count(text) > 1:
            raise InputError(f"grid: {path}: {text} is there twice; expected each value once")
    return tuple(checked)


def _parse_text(grid: str) -> dict[str, list[Any]]:
    axes: dict[str, list[Any]] = {}
    for axis in grid.split():
        path, is_axis, values = axis.partition("=")
        if not is_axis:
            raise InputError(f"grid: got {axis!r}; expected {_FORM}")
        if path in axes:
            raise InputError(f"grid: {path} is there twice; expected each axis once")
        field = AXES.get(path)
        axes[path] = [_value(text, field) if field else text for text in values.split("|")]
    return axes


def _value(text: str, field: Field) -> Any:
    return None if text == _UNSET and field.may_be_unset else field.typed(text)


def value_text(path: str, value: Any) -> str:
    """A value of an axis as on the command line."""
    if value is None:
        return _UNSET
    return str(value).lower() if isinstance(value, bool) else str(AXES[path].text(value))


def axes_text(axes: Mapping[str, Any]) -> str:
    """One value of each axis, as `pruning.criterion=wanda calibration.source=fr,sw`."""
    return " ".join(f"{path}={value_text(path, value)}" for path, value in axes.items())


def grid_text(grid: Grid) -> str:
    """The text of a grid, which `parse_grid` reads."""
    return " ".join(
        f"{path}={'|'.join(value_text(path, value) for value in values)}"
        for path, values in grid.items()
    )


def grid_field() -> Any:
    """The rule of the field `sweep.grid`."""
    return rule(
        "{path of a field: list of values}, or on the command line PATH=VALUE|VALUE, separated by spaces",
        lambda value: isinstance(value, str | Mapping) and bool(value),
        required=True,
        kind=object,
        meaning="fields of `pruning` or `quantize`, of `calibration` and `recovery`, and `seed`, each with the values "
        "that it takes; the variants are their products (docs/sweep.md)",
        parse=parse_grid,
        write=grid_text,
    )
