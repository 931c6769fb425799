"""Words of the command line → the command that they name. Imports nothing of JAX, so that help and typos are quick."""

from __future__ import annotations

import importlib
import sys
import textwrap

from jaxprune.cli.ready import ready_configs
from jaxprune.errors import refusal
from jaxprune.process import DEBUG, errors_in_one_line, starting
from jaxprune.version import __version__

# Each is a module in commands/.
COMMANDS = {
    "prune": "prune a model: a config → a workdir with the pruned model, its masks and a report",
    "evaluate": "score a model on tasks in every language, its perplexity and its translations",
    "compare": "say what changed between two evaluated runs, and whether it is real",
    "analyze": "measure a model's features in every language, and compare masks",
    "sweep": "prune and evaluate one model by sparsities, calibrations and languages",
    "report": "write one HTML page about a run, a comparison or a sweep",
    "verify": "read a finished run back and compare every file with its digest",
}


def main() -> None:
    """`jaxprune COMMAND …`, as the console script and `python -m jaxprune` call it."""
    with errors_in_one_line():
        arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]
        if arguments[:1] == ["help"]:
            arguments = [*arguments[1:], "--help"]
        name = arguments[0] if arguments else None
        if name in ("--help", "-h", "--version"):
            print(__version__ if name == "--version" else overview())
            sys.exit()
        if name not in COMMANDS:
            raise refusal("command", name, COMMANDS)
    run(name, f"jaxprune {name}", arguments[1:])


def run(name: str, program: str, arguments: list[str] | None = None) -> None:
    """Runs a command, and ends the process as `errors_in_one_line` does.

    Args:
      name: of the command.
      program: as its user typed it, for its help.
      arguments: those of this process by default.
    """
    given = sys.argv[1:] if arguments is None else arguments
    with starting():
        command = importlib.import_module(f"jaxprune.cli.commands.{name}")
    with errors_in_one_line():
        command.main(program, [argument for argument in given if argument != DEBUG])


def overview() -> str:
    """The text of `jaxprune --help`."""
    commands = [f"  {name:10}{summary}" for name, summary in COMMANDS.items()]
    lines = [
        f"jaxprune {__version__}: prunes multilingual language models for non-English tasks, in JAX",
        "",
        "  jaxprune prune --config nano --workdir runs/nano",
        "",
        "commands:",
        *commands,
        "",
        "flags of every command:",
        "  --help    its own flags, and the fields of a config",
        f"  {DEBUG}   the traceback of an error, above its line",
        "",
        "ready configs, for --config NAME or NAME:ARGUMENT, as bloom:3b:",
        *textwrap.wrap(
            ", ".join(ready_configs()), 100, initial_indent="  ", subsequent_indent="  "
        ),
    ]
    return "\n".join(lines)
