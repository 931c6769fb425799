"""The command line: `jaxprune COMMAND`, and the same commands from scripts/; each is a file in commands/."""

from jaxprune.cli.main import main as main
from jaxprune.cli.main import run as run
