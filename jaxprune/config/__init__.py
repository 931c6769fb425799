"""Fields and their values → the config of a run, checked; or one line that says which field is wrong."""

from jaxprune.config.fields import DENSE, FIELDS, LRP2, MIX, as_markdown, as_text
from jaxprune.config.validate import base_config, paper_sweep, pick, unknown_field, validate

__all__ = [
    "DENSE",
    "FIELDS",
    "LRP2",
    "MIX",
    "as_markdown",
    "as_text",
    "base_config",
    "paper_sweep",
    "pick",
    "unknown_field",
    "validate",
]
