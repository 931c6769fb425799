"""A user's config → the checked record: every field, and the combinations of fields."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from flax.traverse_util import unflatten_dict

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.schema import fields_of
from jaxprune.cli.config.record import COMMANDS, FIELDS
from jaxprune.stats.config import JobConfig
from jaxprune.steps.planning.checked import by_path, config_of

if TYPE_CHECKING:
    from ml_collections import ConfigDict

_Value = TypeVar("_Value")


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
        raise invalid_value("config argument", name, among)
    return among[name]


def check_read(path: str, command: str) -> None:
    """Rejects a field that a command does not read; names the commands that do."""
    readers = [name for name, record in COMMANDS.items() if path in fields_of(record)]
    if command not in readers:
        raise InputError(f"{path}: {command} does not read it; use it with {' or '.join(readers)}")


def validate(config: "ConfigDict", command: str = "prune") -> JobConfig:
    """The checked config of a command from a user's config, with `pruning.sparsity` filled in.

    Args:
      command: a name in `COMMANDS`; the fields of other commands are checked too.

    Raises:
      InputError: a field that is unknown or out of range, or fields that contradict each
        other. One line with the field, its value and the rule.
    """
    values = by_path(config.to_dict(), FIELDS)
    return config_of(values, COMMANDS[command], FIELDS)
