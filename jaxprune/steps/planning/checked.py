"""Values of fields → the checked config of a command: every field, and their combinations."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.base.errors import InputError
from jaxprune.base.schema import Field, check, fields_of
from jaxprune.data.config import check_calibration
from jaxprune.pruning.allocations.listed import text_of
from jaxprune.pruning.settings import Settings
from jaxprune.stats.config import JobConfig, only_with_stats
from jaxprune.steps.configs import MethodConfig, PruneConfig, QuantizeConfig

_Config = TypeVar("_Config", bound=JobConfig)


def by_path(groups: Mapping[str, object], known: Mapping[str, Field]) -> dict[str, object]:
    """Values by path, such as `calibration.kind`, of nested groups; a field whose value is a mapping stays whole."""
    return flatten_dict(groups, sep=".", is_leaf=lambda path, _: ".".join(path) in known)


def config_of(
    values: Mapping[str, object], record: type[_Config], known: Mapping[str, Field] | None = None
) -> _Config:
    """The checked config of a command from values by path, such as `calibration.kind`; the others are defaults.

    Args:
      values: values by path, as in a config.
      record: config record of the command.
      known: the fields of all commands, of which a config may set those that this one does not read; by default those
        of the record.

    Raises:
      InputError: a field that is unknown or out of range, or fields that contradict each other. One line with the
        field, its value and the rule.
    """
    own_fields = fields_of(record)
    known = known or own_fields
    # as JSON has no numbers of numpy
    values = {path: v.item() if isinstance(v, np.generic) else v for path, v in values.items()}
    for path in values:
        if path not in known:
            raise unknown_field(path, known)
    values = {path: field.default for path, field in own_fields.items()} | values
    typed = {
        path: check(path, value, known[path])
        for path, value in values.items()
        if path in own_fields or value is not None
    }
    nested = unflatten_dict({path: typed[path] for path in own_fields}, sep=".")
    for name, value in nested.items():
        if isinstance(value, dict):  # a group, of which the command may fill in a part
            nested[name] = dataclasses.replace(getattr(record, name), **value)
    return consistent(record(**nested))


def consistent(config: _Config) -> _Config:
    """The config with `pruning.sparsity` and the rounding filled in, and the content of a file of shares in its place.

    Raises as `config_of`.
    """
    if not isinstance(config, MethodConfig):
        return config
    try:
        settings = config.settings
    except InputError as error:  # each field is allowed, their combination is not
        group = "calibration" if str(error).startswith(("combine", "weights")) else "pruning"
        raise InputError(f"{group}.{error}") from None
    if isinstance(config, PruneConfig):
        shares = text_of(settings.resolved_allocation) or config.pruning.allocation
        pruning = dataclasses.replace(
            config.pruning, sparsity=settings.implied_sparsity, allocation=shares
        )
        config = dataclasses.replace(config, pruning=pruning)
    if isinstance(config, QuantizeConfig):  # numbers without scale have one rounding
        quantize = dataclasses.replace(config.quantize, how=settings.method.name)
        config = dataclasses.replace(config, quantize=quantize)
    _check_statistics(config, settings)
    if config.calibration.stats is not None:
        calibration = only_with_stats(config.calibration)
        config = dataclasses.replace(config, calibration=calibration)
    return config


def _check_statistics(config: MethodConfig, settings: Settings) -> None:
    """Rejects samples, or saved statistics, that the criterion cannot read."""
    saved, method = config.calibration.stats, settings.method
    if saved is not None and settings.propagate != "dense":
        raise InputError(
            f"pruning.propagate: got {settings.propagate!r}; expected dense, with calibration.stats"
        )
    if settings.needs_statistics and saved is None:
        check_calibration(config.calibration, method.name, method.sets, config.compat)


def unknown_field(path: str, known: Iterable[str]) -> InputError:
    """The error for an unknown field; suggests the closest field."""
    names = {name.rpartition(".")[2]: name for name in known}
    close = difflib.get_close_matches(path, known, n=1) or [
        names[name] for name in difflib.get_close_matches(path.rpartition(".")[2], names, n=1)
    ]
    group = [name for name in known if name.startswith(f"{path}.")]
    hint = f"; its fields are {', '.join(group)}" if group else ""
    if close and not group:
        hint = f"; did you mean {close[0]}?"
    return InputError(f"{path}: no such field{hint}")
