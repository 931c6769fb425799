"""The command line → its command. Does not import JAX, so help and typing errors return at once."""

import importlib
import sys
import textwrap

from jaxprune.base.ending import DEBUG, errors_in_one_line
from jaxprune.base.errors import invalid_value
from jaxprune.base.version import __version__
from jaxprune.cli.ready import ready_configs

# Each is a module in commands/.
COMMANDS = {
    "pack": "make a model small and fast for some languages, and write model.gguf",
    "prune": "prune a model: a config → a workdir with the pruned model, its masks and a report",
    "quantize": "round a model to four or eight bits for some languages, and write model.gguf",
    "recover": "fit the kept weights of a pruned or smaller model to the dense one",
    "shrink": "make a model smaller for some languages: fewer tokens, layers, neurons",
    "evaluate": "evaluate a model on tasks in every language, its perplexity and its translations",
    "compare": "report the changes between evaluated runs and their significance",
    "analyze": "measure a model's features in every language, and compare masks",
    "sweep": "prune and evaluate one model for every product of a grid of settings",
    "status": "say how far a run or a sweep is, in a folder or a bucket",
    "imatrix": "write llama.cpp's importance matrix of the languages of a run",
    "report": "write one HTML page about a run, its changes against others, or a sweep",
    "verify": "compare every file of a finished run with its digest",
}


def main() -> None:
    """`jaxprune COMMAND …`: the entry point of the console script and of `python -m jaxprune`."""
    with errors_in_one_line():
        arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]
        if arguments[:1] == ["help"]:
            arguments = [*arguments[1:], "--help"]
        name = arguments[0] if arguments else None
        if name in ("--help", "-h", "--version"):
            print(__version__ if name == "--version" else overview())
            sys.exit()
        if name not in COMMANDS:
            raise invalid_value("command", name, COMMANDS)
    run(name, f"jaxprune {name}", arguments[1:])


def run(name: str, program: str, arguments: list[str] | None = None) -> None:
    """Runs a command; ends the process as `errors_in_one_line` does.

    Args:
      name: name of the command.
      program: the words that the user typed, for help.
      arguments: arguments of the command; by default those of this process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    with errors_in_one_line():
        command = importlib.import_module(f"jaxprune.cli.commands.{name}")
        others = [argument for argument in words if argument != DEBUG]
        if hasattr(command, "main"):
            command.main(program, others)
            return
        from jaxprune.cli.configured import run_configured  # imports JAX

        run_configured(
            getattr(command, name), program, others,
            about=command.__doc__, define=command.define, command=name,
        )  # fmt: skip


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
        "  --help    list the flags of the command and the fields of its config",
        f"  {DEBUG}   print the traceback of an error",
        "",
        "ready configs, for --config NAME or NAME:ARGUMENT, for example bloom:3b:",
        *textwrap.wrap(
            ", ".join(ready_configs()), 100, initial_indent="  ", subsequent_indent="  "
        ),
    ]
    return "\n".join(lines)
