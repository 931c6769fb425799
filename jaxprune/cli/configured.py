"""The command line of a command with a config: flags and fields → a config, checked. Knows no command."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from absl import app, flags, logging
from flax.traverse_util import flatten_dict
from ml_collections import config_flags

from jaxprune.cli.arguments import check_folder, described
from jaxprune.cli.ready import config_file
from jaxprune.config import FIELDS, READ_BY, Config, as_text, check_read, config_of, unknown_field
from jaxprune.devices import failure, hosts, keep_compiled, one_cpu_device_per_core
from jaxprune.errors import InputError, refusal

_FIELD = re.compile(r"--?(?:no)?config\.([^=]*)(?:=.*)?", re.DOTALL)
_HELP = {"--help", "-help", "-h"}


def run_configured(
    main: Callable[[Config, Path], object],
    program: str,
    arguments: Sequence[str],
    *,
    about: str | None,
    define: Callable[[], None] = lambda: None,
    command: str = "prune",
) -> None:
    """Runs a command: `main(config, workdir)` with a validated config.

    Args:
      main: does the job.
      program: the words that the user typed before the arguments.
      arguments: flags and fields.
      about: the command's docstring, with which its help begins.
      define: defines the flags that it has beside `--config` and `--workdir`.
      command: its name.
    """

    def read(argv: Sequence[str]) -> tuple[Config, Path]:
        known = {*flags.FLAGS}
        define()
        if not _HELP.isdisjoint(argv[1:]):
            own = [flags.FLAGS[name] for name in flags.FLAGS if name not in known]
            rest = [argument for argument in argv if argument not in _HELP]
            fields = as_text(READ_BY[command], _given(rest, flags.FLAGS, command))
            print(usage(described(about, program), own, fields))
            sys.exit(0)
        read_arguments = parse(argv, flags.FLAGS, command)
        if flags.FLAGS["verbosity"].using_default_value:
            # absl would go to INFO, where JAX tells which backends this machine lacks.
            logging.set_verbosity(logging.WARNING)
        return read_arguments

    def start(read_arguments: tuple[Config, Path]) -> None:
        one_cpu_device_per_core()
        keep_compiled()
        leave_torch_alone()
        try:
            main(*read_arguments)
        except OSError as error:
            if error.errno and error.filename is None:  # a full disk does not say where it is
                error.filename = str(read_arguments[1])
            raise

    with failure.together():
        app.run(start, [program, *arguments], flags_parser=read)


def leave_torch_alone() -> None:
    """Has transformers find no torch in this process, unless it is loaded already.

    It would import torch for a tokenizer where it is installed, which takes seconds and 240 MB, and advise to install
    it where it is not; no command uses it. It looks once and remembers; later imports of torch are free to succeed.
    """
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    if "torch" in sys.modules:
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    from transformers.utils import is_torch_available

    is_torch_available()
    del sys.modules["torch"]


def define_processes() -> None:
    """Defines the flags that make a command's process one of several."""
    flags.DEFINE_boolean(
        "distributed",
        False,
        "one of several processes, which a TPU slice, Slurm or GKE tells of each other",
    )
    flags.DEFINE_string("coordinator", None, "or host:port of process 0, on each of")
    flags.DEFINE_integer("processes", None, "so many processes,")
    flags.DEFINE_integer("process", None, "of which this one has this number, from 0")


def join_processes() -> None:
    """Makes this process one of several if the flags say so; to be called before JAX finds its devices."""
    given = flags.FLAGS
    if not given.distributed and not given.coordinator:
        for name in ("processes", "process"):
            if getattr(given, name) is not None:
                raise InputError(
                    f"--{name}: given without --coordinator=HOST:PORT or --distributed; allowed: with one of them"
                )
    else:
        address = (given.coordinator, given.processes, given.process)
        failure.joined(lambda: hosts.join(*address))
        failure.listen()


def usage(about: str, own: Sequence[flags.Flag], fields: str) -> str:
    """The text of `--help`: the job of the command, its own flags, and its fields.

    Args:
      about: with examples.
      own: its flags beside `--config` and `--workdir`.
      fields: see `as_text`.
    """
    lines = [
        about,
        "",
        "flags:",
        "  --config: a ready config, as bloom:3b (jaxprune --help lists them), or a config file, as FILE.py:ARGUMENT",
        "  --workdir: folder to write to",
        *(f"  --{flag.name}: {flag.help}" for flag in own),
        "  --debug: the traceback of an error, above its line",
        "",
        "fields, set as --config.FIELD=VALUE (with --config NAME --help also those that the config sets):",
        "",
        fields,
    ]
    return "\n".join(lines)


def parse(
    argv: Sequence[str], flag_values: flags.FlagValues, command: str = "prune"
) -> tuple[Config, Path]:
    """Defines and reads `--config NAME|FILE.py[:ARGUMENT]`, `--config.FIELD=VALUE` and `--workdir`.

    Returns:
      The validated config and the folder to write to, which need not exist.

    Raises:
      InputError: a flag that is missing, unknown or has a bad value; a field that the command does not read.
    """
    given = _given(argv, flag_values, command)
    for name in ("config", "workdir"):
        if flag_values[name].value is None:
            raise InputError(f"--{name}: missing; allowed: {flag_values[name].help}")
    workdir = Path(flag_values.workdir).expanduser()
    check_folder("--workdir", workdir)
    config = config_of(given, prunes=command == "prune")
    for field in filter(None, map(_FIELD.fullmatch, argv)):
        check_read(field[1], command)
    return config, workdir


def _given(
    argv: Sequence[str], flag_values: flags.FlagValues, command: str
) -> Mapping[str, object]:
    """The values of the config by path, as the file and the arguments set them; empty where there is no config."""
    argv, unset = _without_unset(_with_files(argv))
    flags.DEFINE_string("workdir", None, "folder to write to", flag_values)
    about = "config file, or a ready config as bloom:3b"
    try:  # the first one reads flag files
        config_flags.DEFINE_config_file("config", None, about, flag_values, sys_argv=argv)
        rest = flag_values(argv)
    except flags.Error as error:
        raise _explain(error, command) from error
    if len(rest) > 1:
        raise InputError(f"{rest[1]}: not a flag; fields are set as --config.FIELD=VALUE")
    values = flatten_dict(flag_values.config.to_dict(), sep=".") if flag_values.config else {}
    return {**values, **dict.fromkeys(unset)}


def _without_unset(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without the fields that `--config.FIELD=` unsets, and these fields."""
    last = dict(argument.partition("=")[::2] for argument in argv)
    unset = {
        flag: path
        for path, field in FIELDS.items()
        if field.may_be_unset and f"{(flag := f'--config.{path}')}=" in argv and not last[flag]
    }
    return [one for one in argv if one.partition("=")[0] not in unset], [*unset.values()]


def _with_files(argv: Sequence[str]) -> list[str]:
    """The arguments with the files of ready configs in the place of their names.

    Refuses fields and configs that do not exist, before ml_collections trips over them.
    """
    read = list(argv)
    for place, argument in enumerate(argv):
        field = _FIELD.fullmatch(argument)
        if field and field[1] not in FIELDS:
            raise unknown_field(field[1])
        if file := re.fullmatch(r"(--?config=)(.*)", argument, re.DOTALL):
            read[place] = file[1] + config_file(file[2])
        elif argument in ("--config", "-config") and place + 1 < len(argv):
            read[place + 1] = config_file(argv[place + 1])
    return read


def _explain(error: flags.Error, command: str) -> InputError:
    """The error of a flag in the words of its field, or the InputError that a config raised."""
    cause: BaseException | None = error
    innermost = None
    while cause is not None:
        innermost = cause if isinstance(cause, InputError) else innermost
        cause = cause.__context__
    if innermost is not None:
        return innermost
    if isinstance(error, flags.UnrecognizedFlagError):
        name = error.flagname
        meant = [path for path in READ_BY[command] if name in (path, path.rpartition(".")[2])]
        if meant:
            fields = " or ".join(f"--config.{path}" for path in meant)
            return InputError(f"--{name}: no such flag; did you mean {fields}?")
    value = re.match(r"flag --(?:no)?config\.([\w.]+)=(.*?): ", str(error), re.DOTALL)
    if value and value[1] in FIELDS:
        return refusal(value[1], value[2], FIELDS[value[1]].allowed)
    return InputError(" ".join(str(error).split()))
