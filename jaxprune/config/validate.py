"""A user's config → the checked record: every field, and the combinations of fields."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.calibration import check_calibration
from jaxprune.config.record import COMMANDS, FIELDS
from jaxprune.errors import InputError, refusal, unusable
from jaxprune.passes import JobConfig, only_with_stats
from jaxprune.pruning import Settings, text_of
from jaxprune.runs.planning import PruneConfig
from jaxprune.schema import check, fields_of

if TYPE_CHECKING:
    from ml_collections import ConfigDict

_Value = TypeVar("_Value")
_Config = TypeVar("_Config", bound=JobConfig)


def base_config() -> "ConfigDict":
    """Every field with its default. `model` is not set."""
    from ml_collections import ConfigDict  # late: the Python API needs no ConfigDict
    from ml_collections.config_dict import placeholder

    values = {
        path: placeholder(field.kind) if field.default is None else field.default
        for path, field in FIELDS.items()
    }
    return ConfigDict(unflatten_dict(values, sep="."))


def paper_sweep(model: str) -> "ConfigDict":
    """The sweep of the paper's tables 1 to 4 for a model, with the languages of its figures."""
    config = base_config()
    config.model = model
    config.output.hf = False
    config.evaluation.tasks = "xnli,marc2"
    config.evaluation.translation = "xnli"
    config.sweep.grid = {
        "pruning.criterion": ["random", "wanda"],
        "calibration.kind": ["monolingual", "translation"],
        "calibration.source": ["en", "fr", "es", "zh", "hi", "sw"],
    }
    return config


def pick(argument: str | None, among: Mapping[str, _Value], default: str) -> _Value:
    """The value that a config file's argument names, such as the model 3b in `configs/bloom.py:3b`.

    Raises:
      InputError: no such name; lists all names.
    """
    name = default if argument is None else argument
    if name not in among:
        raise refusal("config argument", name, among)
    return among[name]


def check_read(path: str, command: str) -> None:
    """Rejects a field that a command does not read; names the commands that do."""
    readers = [name for name, record in COMMANDS.items() if path in fields_of(record)]
    if command not in readers:
        raise InputError(
            f"{path}: {command} does not read it; allowed: with {' or '.join(readers)}"
        )


def unknown_field(path: str) -> InputError:
    """The error for an unknown field; suggests the closest field."""
    names = {name.rpartition(".")[2]: name for name in FIELDS}
    close = difflib.get_close_matches(path, FIELDS, n=1) or [
        names[name] for name in difflib.get_close_matches(path.rpartition(".")[2], names, n=1)
    ]
    group = [name for name in FIELDS if name.startswith(f"{path}.")]
    hint = f"; its fields are {', '.join(group)}" if group else ""
    if close and not group:
        hint = f"; did you mean {close[0]}?"
    return InputError(f"{path}: no such field{hint}")


def validate(config: "ConfigDict", command: str = "prune") -> JobConfig:
    """The checked config of a command from a user's config, with `pruning.sparsity` filled in.

    Args:
      command: a name in `COMMANDS`; the fields of other commands are checked too.

    Raises:
      InputError: a field that is unknown or out of range, or fields that contradict each
        other. One line with the field, its value and the rule.
    """
    return config_of(by_path(config.to_dict()), COMMANDS[command])


def by_path(groups: Mapping[str, object]) -> dict[str, object]:
    """Values by path, such as `calibration.kind`, of nested groups; a field whose value is a mapping stays whole."""
    return flatten_dict(groups, sep=".", is_leaf=lambda path, _: ".".join(path) in FIELDS)


def config_of(given: Mapping[str, object], record: type[_Config]) -> _Config:
    """`validate` for values by path, such as `calibration.kind`; the others are defaults."""
    # as JSON has no numbers of numpy
    given = {path: v.item() if isinstance(v, np.generic) else v for path, v in given.items()}
    for path in given:
        if path not in FIELDS:
            raise unknown_field(path)
    read = fields_of(record)
    given = {path: field.default for path, field in read.items()} | given
    typed = {
        path: check(path, value, FIELDS[path])
        for path, value in given.items()
        if path in read or value is not None
    }
    for path, value in typed.items():
        for name in map(str, value if isinstance(value, tuple) else (value,)):
            if why := unusable(name):
                raise InputError(f"{path}: got {name!r}, {why}")
    values = unflatten_dict({path: typed[path] for path in read}, sep=".")
    for name, value in values.items():
        if isinstance(value, dict):  # a group, of which the command may fill in a part
            values[name] = dataclasses.replace(getattr(record, name), **value)
    return consistent(record(**values))


def consistent(config: _Config) -> _Config:
    """The config with `pruning.sparsity` filled in, and the content of a file of shares in its place.

    Raises as `validate`.
    """
    if not isinstance(config, PruneConfig):
        return config
    try:
        settings = config.settings
    except InputError as error:  # each field is allowed, their combination is not
        group = "calibration" if str(error).startswith(("combine", "weights")) else "pruning"
        raise InputError(f"{group}.{error}") from None
    shares = text_of(settings.spread) or config.pruning.allocation
    pruning = dataclasses.replace(
        config.pruning, sparsity=settings.implied_sparsity, allocation=shares
    )
    config = dataclasses.replace(config, pruning=pruning)
    _check_statistics(config, settings)
    if config.calibration.stats is not None:
        calibration = only_with_stats(config.calibration)
        config = dataclasses.replace(config, calibration=calibration)
    return config


def _check_statistics(config: PruneConfig, settings: Settings) -> None:
    """Rejects samples, or saved statistics, that the criterion cannot read."""
    saved, method = config.calibration.stats, settings.method
    if saved is not None and settings.propagate != "dense":
        raise InputError(
            f"pruning.propagate: got {settings.propagate!r}; allowed: dense, with calibration.stats"
        )
    if settings.needs_statistics and saved is None:
        check_calibration(config.calibration, method.name, method.sets, config.compat)
