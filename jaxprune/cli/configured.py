"""The command line of a command with a config: flags and fields → a checked config."""

import contextlib
import os
import re
import runpy
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from jaxprune.base.errors import InputError, copy_of, invalid_value
from jaxprune.base.files.store import check_address, is_address
from jaxprune.base.schema import Field, fields_of
from jaxprune.cli.arguments import check_folder, described
from jaxprune.cli.config.help import as_text
from jaxprune.cli.config.record import COMMANDS, FIELDS
from jaxprune.cli.config.validate import check_read
from jaxprune.cli.ready import config_file
from jaxprune.devices import failure, hosts
from jaxprune.devices.compilation import keep_compiled
from jaxprune.devices.sharding import one_cpu_device_per_core
from jaxprune.runs.buckets.workdir import staged
from jaxprune.stats.config import JobConfig, check_with_stats
from jaxprune.steps.configs import BlocksConfig, MethodConfig
from jaxprune.steps.planning.checked import by_path, config_of, unknown_field
from jaxprune.steps.planning.chips import rented
from jaxprune.steps.planning.plan import show_plan

_HELP = {"--help", "-help", "-h"}


def run_configured(
    main: Callable[[Any, Path], object],
    program: str,
    arguments: Sequence[str],
    *,
    about: str | None,
    define: Callable[[], None] = lambda: None,
    command: str = "prune",
) -> None:
    """Runs a command: `main(config, workdir)` with a validated config.

    Args:
      main: runs the job; takes the config of `COMMANDS[command]`.
      program: the words that the user typed before the arguments.
      arguments: flags and fields.
      about: the command's docstring, with which its help begins.
      define: defines its flags besides `--config` and `--workdir`.
      command: name of the command.
    """

    def read(argv: Sequence[str]) -> tuple[JobConfig, str]:
        before = {*flags.FLAGS}
        define()
        if not _HELP.isdisjoint(argv[1:]):
            own = [flags.FLAGS[name] for name in flags.FLAGS if name not in before]
            others = [argument for argument in argv if argument not in _HELP]
            values = _set_values(others, flags.FLAGS, command)
            fields = as_text(fields_of(COMMANDS[command]), values)
            print(usage(described(about, program), own, fields))
            sys.exit(0)
        read_arguments = parse(argv, flags.FLAGS, command)
        if flags.FLAGS["verbosity"].using_default_value:
            # absl defaults to INFO, at which JAX lists the backends that this machine lacks.
            logging.set_verbosity(logging.WARNING)
        return read_arguments

    def start(read_arguments: tuple[JobConfig, str]) -> None:
        prepare_process()
        config, place = read_arguments
        try:
            with _workdir(place) as workdir:
                main(config, workdir)
        except OSError as error:
            if error.errno and error.filename is None:  # the error of a full disk has no path
                error.filename = str(place)
            raise

    with failure.together():
        app.run(start, [program, *arguments], flags_parser=read)


@contextlib.contextmanager
def _workdir(place: str) -> Iterator[Path]:
    """The folder that `--workdir` names, or a local copy if it is in a bucket."""
    options = flags.FLAGS
    if not is_address(place) or ("plan" in options and options.plan):
        yield Path(place).expanduser()
        return
    if "distributed" in options and (options.distributed or options.coordinator):
        raise invalid_value("--workdir", place, "a folder that all processes share")
    with staged(place) as workdir, copy_of(workdir, place):
        yield workdir


def prepare_process() -> None:
    """Sets JAX and transformers up for a command, before JAX starts."""
    one_cpu_device_per_core()
    keep_compiled()
    leave_torch_alone()


def leave_torch_alone() -> None:
    """Hides torch from transformers in this process, unless it is loaded already.

    transformers imports an installed torch for a tokenizer, which takes seconds and 240 MB, and otherwise advises to
    install it; no command uses it. transformers searches once and caches the result, so later imports of torch work.
    """
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    if "torch" in sys.modules:
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    from transformers.utils import is_torch_available

    is_torch_available()
    del sys.modules["torch"]


def define_plan(meaning: str) -> None:
    """Defines the flag that prints a plan in place of the job."""
    flags.DEFINE_boolean("plan", False, meaning)


def define_overwrite(
    meaning: str = "start over if the workdir contains an unfinished run, and replace a complete one",
) -> None:
    """Defines the flag for a job whose workdir has the results of another."""
    flags.DEFINE_boolean("overwrite", False, meaning)


def define_processes() -> None:
    """Defines the flags for a job on several hosts, each of which runs the same command."""
    flags.DEFINE_boolean(
        "distributed", False,
        "on several hosts of a TPU slice, Slurm or GKE, which number them and connect them",
    )  # fmt: skip
    flags.DEFINE_string(
        "coordinator", None,
        "on several other hosts: HOST:PORT of the first one, with a free port that the others can reach",
    )  # fmt: skip
    flags.DEFINE_integer(
        "processes", None, "how many hosts there are, with --coordinator or --plan", lower_bound=1
    )
    flags.DEFINE_integer(
        "process", None, "which of them this one is, from 0, with --coordinator", lower_bound=0
    )


def define_planned() -> None:
    """Defines the flags of `run_or_plan`."""
    define_overwrite()
    define_plan("print the estimated memory and operations; loads no weights and writes nothing")
    flags.DEFINE_string(
        "chip", None, "with --plan: other machines than this one, as v5e-8, h100 or 2xh100"
    )
    define_processes()


def run_or_plan(
    job: Callable[..., object],
    config: BlocksConfig,
    workdir: Path,
    show: Callable[..., None] = show_plan,
) -> None:
    """Runs `job(config, workdir, overwrite=...)`, or prints its plan by `show(config, processes, machines)`."""
    options = flags.FLAGS
    if options.chip is not None and not options.plan:
        raise InputError("--chip: not read without --plan")
    if options.chip is not None and options.processes is not None:
        raise InputError("--processes: not read with --chip, which names all machines")
    if options.plan:
        machines = None if options.chip is None else rented(options.chip)
        show(config, options.processes or 1, machines)
        return
    join_processes()
    job(config, workdir, overwrite=options.overwrite)


def join_processes() -> None:
    """Makes this process one of several if the flags are set; must be called before JAX initialises its devices."""
    options = flags.FLAGS
    if not options.distributed and not options.coordinator:
        for name in ("processes", "process"):
            if getattr(options, name) is not None:
                raise InputError(
                    f"--{name}: set without --coordinator=HOST:PORT or --distributed; add one of them"
                )
    else:
        with failure.listening():
            hosts.join(options.coordinator, options.processes, options.process)


def usage(about: str, own: Sequence[flags.Flag], fields: str) -> str:
    """The text of `--help`: description, flags and fields of a command.

    Args:
      about: description of the command, with examples.
      own: flags of the command besides `--config` and `--workdir`.
      fields: see `as_text`.
    """
    lines = [
        about,
        "",
        "flags:",
        "  --config: a ready config such as bloom:3b (jaxprune --help lists them), or a config file, FILE.py:ARGUMENT",
        "  --workdir: output folder, or its address in a bucket, s3://… or gs://…",
        *(f"  --{flag.name}: {flag.help}" for flag in own),
        "  --debug: print the traceback of an error",
        "",
        "fields, set as --config.FIELD=VALUE (--config NAME --help also lists the values that a config sets):",
        "",
        fields,
    ]
    return "\n".join(lines)


def parse(
    argv: Sequence[str], flag_values: flags.FlagValues, command: str = "prune"
) -> tuple[JobConfig, str]:
    """Defines and reads `--config NAME|FILE.py[:ARGUMENT]`, `--config.FIELD=VALUE` and `--workdir`.

    Returns:
      The validated config, and the output folder, which need not exist, or its address in a bucket.

    Raises:
      InputError: a flag that is missing or unknown, or has a bad value; a field that the command does not read; a
        config file that fails.
    """
    values = _set_values(argv, flag_values, command)
    for name in ("config", "workdir"):
        if not flag_values[name].value:
            raise InputError(f"--{name}: missing; expected {flag_values[name].help}")
    workdir = flag_values.workdir
    if is_address(workdir):
        check_address(workdir, "--workdir")
    else:
        check_folder("--workdir", Path(workdir).expanduser())
    config, overrides = config_of(values, COMMANDS[command], FIELDS), _overrides(flag_values)
    for path in overrides:
        check_read(path, command)
    if isinstance(config, MethodConfig) and config.calibration.stats is not None:
        _check_with_stats(values, overrides)
    return config, workdir


def _check_with_stats(values: Mapping[str, object], overrides: Mapping[str, object]) -> None:
    """Rejects settings of samples where `calibration.stats` is set; settings of a ready config are ignored."""
    paths: Iterable[str] = overrides
    if "calibration.stats" not in overrides:
        paths = (path for path, value in values.items() if value != FIELDS[path].default)
    groups = (path.rpartition(".") for path in paths)
    check_with_stats(name for group, _, name in groups if group == "calibration")


def _set_values(
    argv: Sequence[str], flag_values: flags.FlagValues, command: str
) -> Mapping[str, object]:
    """The values of the config by path, as set by the file and the arguments; no file without `--config`."""
    about = "a config file, or a ready config such as bloom:3b"
    flags.DEFINE_string("config", None, about, flag_values)
    flags.DEFINE_string("workdir", None, "output folder", flag_values)
    for path, field in FIELDS.items():
        value, is_flag = _Value(field), isinstance(field.default, bool)
        flag = flags.Flag(value, None, f"config.{path}", None, field.meaning, boolean=is_flag)
        flags.DEFINE_flag(flag, flag_values)
    try:
        unparsed = flag_values(argv)
    except flags.Error as error:
        raise _explain(error, command) from error
    if len(unparsed) > 1:
        raise InputError(f"{unparsed[1]}: not a flag; fields are set as --config.FIELD=VALUE")
    config = {} if flag_values.config is None else _loaded(flag_values.config)
    return {**config, **_overrides(flag_values)}


class _Value(flags.ArgumentParser[Any]):
    """The text of a field → its value."""

    def __init__(self, field: Field) -> None:
        self._field = field

    def parse(self, argument: str) -> Any:
        if not argument and self._field.may_be_unset:
            return None
        return self._field.typed(argument)


def _overrides(flag_values: flags.FlagValues) -> dict[str, object]:
    """The fields that arguments set, by path, and their values."""
    all_flags = {path: flag_values[f"config.{path}"] for path in FIELDS}
    return {path: flag.value for path, flag in all_flags.items() if flag.present}


def _loaded(argument: str) -> dict[str, object]:
    """The values by path of the config that `--config` names."""
    file, *arguments = config_file(argument).split(":", 1)
    try:
        config = runpy.run_path(file)["get_config"](*arguments)
        return by_path(config.to_dict(), FIELDS)
    except InputError:
        raise
    except Exception as error:  # a file of the user's may raise any
        raise InputError(f"--config: {file}: {type(error).__name__}: {error}") from error


def _explain(error: flags.Error, command: str) -> InputError:
    """The error of a flag; for an unknown one with the closest field."""
    if isinstance(error, flags.UnrecognizedFlagError):
        name = error.flagname
        if field := re.fullmatch(r"(?:no)?config\.(.*)", name, re.DOTALL):
            return unknown_field(field[1], FIELDS)
        read = fields_of(COMMANDS[command])
        meant = [path for path in read if name in (path, path.rpartition(".")[2])]
        if meant:
            fields = " or ".join(f"--config.{path}" for path in meant)
            return InputError(f"--{name}: no such flag; did you mean {fields}?")
    return InputError(" ".join(str(error).split()))
