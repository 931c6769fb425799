"""What config files import."""

from jaxprune.cli.config import base_config as base_config
from jaxprune.cli.config import paper_sweep as paper_sweep
from jaxprune.cli.config import pick as pick
