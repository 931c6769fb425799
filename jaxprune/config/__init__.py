"""Fields and their values → the config of a run, checked; or one line that says which field is wrong."""

from jaxprune.config.help import as_markdown, as_text
from jaxprune.config.record import DENSE, FIELDS, LRP2, MIX, Config, SweepFields
from jaxprune.config.validate import (
    base_config,
    config_of,
    consistent,
    paper_sweep,
    pick,
    unknown_field,
    validate,
)

__all__ = [
    "DENSE",
    "FIELDS",
    "LRP2",
    "MIX",
    "Config",
    "SweepFields",
    "as_markdown",
    "as_text",
    "base_config",
    "config_of",
    "consistent",
    "paper_sweep",
    "pick",
    "unknown_field",
    "validate",
]
