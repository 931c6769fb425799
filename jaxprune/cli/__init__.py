"""The command line: `jaxprune COMMAND`, and scripts/, which run the same commands; a file for each in commands/."""

from jaxprune.cli.main import main as main
from jaxprune.cli.main import run as run
