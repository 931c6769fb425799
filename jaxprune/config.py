"""The functions that config files import."""

from jaxprune.cli.config.validate import base_config as base_config
from jaxprune.cli.config.validate import paper_sweep as paper_sweep
from jaxprune.cli.config.validate import pick as pick
