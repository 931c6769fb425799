"""Fields and their values → the checked config of a run, or an error that names the field."""

from jaxprune.cli.config.help import as_markdown as as_markdown
from jaxprune.cli.config.help import as_text as as_text
from jaxprune.cli.config.record import COMMANDS as COMMANDS
from jaxprune.cli.config.record import FIELDS as FIELDS
from jaxprune.cli.config.validate import base_config as base_config
from jaxprune.cli.config.validate import check_read as check_read
from jaxprune.cli.config.validate import paper_sweep as paper_sweep
from jaxprune.cli.config.validate import pick as pick
from jaxprune.cli.config.validate import validate as validate
