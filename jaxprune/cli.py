"""What the scripts share: flags, errors in one line, CPU devices. Knows no job."""

import argparse
import contextlib
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import jax
from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from jaxprune.config import FIELDS, as_text, unknown_field, validate
from jaxprune.devices import TerminatedError, failure, hosts, one_cpu_device_per_core
from jaxprune.errors import InputError, refusal


def run(main: Callable[[ConfigDict, Path], None], *, prunes: bool = True) -> None:
    """Runs a script: `main(config, workdir)` with a config validated for a job that `prunes` or not.

    Ends the process. Bad input prints `error: …` in one line and exits with 2, what the
    environment refuses (disk, network) with 1; anything else is a bug and keeps its traceback.
    """

    def read(argv: Sequence[str]) -> tuple[ConfigDict, Path]:
        if not {"--help", "-help", "-h"}.isdisjoint(argv[1:]):
            print(usage(flags.FLAGS))
            sys.exit(0)
        arguments = parse(argv, flags.FLAGS, prunes=prunes)
        if flags.FLAGS["verbosity"].using_default_value:
            # absl would go to INFO, where JAX tells which backends this machine lacks.
            logging.set_verbosity(logging.WARNING)
        return arguments

    def start(arguments: tuple[ConfigDict, Path]) -> None:
        one_cpu_device_per_core()
        leave_torch_alone()
        try:
            main(*arguments)
        except OSError as error:
            if error.errno and error.filename is None:  # a full disk does not say where it is
                error.filename = str(arguments[1])
            raise

    with errors_in_one_line():
        app.run(start, flags_parser=read)


def leave_torch_alone() -> None:
    """Has transformers find no torch in this process, unless it is loaded already.

    It would import torch for a tokenizer where it is installed, which takes seconds and 240 MB, and advise to install
    it where it is not; no script uses it. It looks once and remembers; later imports of torch are free to succeed.
    """
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    if "torch" in sys.modules:
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    from transformers.utils import is_torch_available

    is_torch_available()
    del sys.modules["torch"]


def process_flags() -> Callable[[], None]:
    """Defines the flags that make a script's process one of several.

    Returns:
      What joins them, to be called before JAX meets its devices.
    """
    flags.DEFINE_boolean(
        "distributed",
        False,
        "one of several processes, which a TPU slice, Slurm or GKE tells of each other",
    )
    flags.DEFINE_string("coordinator", None, "or host:port of process 0, on each of")
    flags.DEFINE_integer("processes", None, "so many processes,")
    flags.DEFINE_integer("process", None, "of which this one has this number, from 0")

    def join() -> None:
        given = flags.FLAGS
        if given.distributed or given.coordinator:
            address = (given.coordinator, given.processes, given.process)
            failure.joined(lambda: hosts.join(*address))
            failure.listen()

    return join


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Ends the process at bad input with 2 and at what the environment refuses with 1, after `error: …` in one line.

    After SIGTERM with 143, as a process that it ended would. If this process is one of several, all end with it.
    """
    try:
        yield
    except TerminatedError as error:
        print(f"{error}; the same command goes on from there", file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)
    except (InputError, OSError) as error:
        failure.end(" ".join(str(error).split()), 2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        with contextlib.suppress(SystemExit):
            failure.end("ended by SIGINT", 128 + signal.SIGINT)
        sys.stdout.flush()
        # sys.exit would wait for threads of Orbax, which may wait for minutes for what was interrupted, and complain
        os._exit(128 + signal.SIGINT)
    except Exception as error:
        if not failure.is_one_of_several():
            raise
        failure.wait_for_word()
        said = " ".join(str(error).split())[:200]
        if isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in said:
            failure.end(f"another process is gone: {said}", 1)
        traceback.print_exc()  # a bug
        failure.end(f"{type(error).__name__}: {said}", 1)


class Arguments(argparse.ArgumentParser):
    """The command line of a script without config; bad arguments are an `InputError` with the usage."""

    def __init__(self, *, usage: str, description: str | None) -> None:
        as_it_stands = argparse.RawDescriptionHelpFormatter
        super().__init__(usage=usage, description=description, formatter_class=as_it_stands)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; usage: {self.usage}")


def usage(flag_values: flags.FlagValues) -> str:
    """What `--help` prints: the script's docstring, its own flags, and every field of a config."""
    script = sys.modules["__main__"]
    names = (
        module.__name__ for module in (script, sys.modules[__name__]) if hasattr(module, "__name__")
    )
    by_module = flag_values.flags_by_module_dict()
    script_flags = [flag for name in names for flag in by_module.get(name, ())]
    script_flags += by_module.get(sys.argv[0], [])
    lines = [
        (script.__doc__ or "").strip(),
        "",
        "flags:",
        "  --config: config file, as configs/bloom.py:3b",
        "  --workdir: folder to write to",
        *(f"  --{flag.name}: {flag.help}" for flag in dict.fromkeys(script_flags)),
        "",
        "fields:",
        as_text(),
    ]
    return "\n".join(lines)


def parse(
    argv: Sequence[str], flag_values: flags.FlagValues, *, prunes: bool = True
) -> tuple[ConfigDict, Path]:
    """Defines and reads `--config FILE.py[:ARGUMENT]`, `--config.FIELD=VALUE` and `--workdir`.

    Returns:
      The validated config and the folder to write to, which need not exist.

    Raises:
      InputError: a flag that is missing, unknown or has a bad value.
    """
    config_flags.DEFINE_config_file(
        "config", None, "config file, as configs/bloom.py:3b", flag_values, sys_argv=list(argv)
    )
    flags.DEFINE_string("workdir", None, "folder to write to", flag_values)
    _check_names(argv)
    try:
        rest = flag_values(list(argv))
    except flags.Error as error:
        raise _explain(error) from error
    if len(rest) > 1:
        raise InputError(f"{rest[1]}: not a flag; fields are set as --config.FIELD=VALUE")
    for name in ("config", "workdir"):
        if flag_values[name].value is None:
            raise InputError(f"--{name}: missing; allowed: {flag_values[name].help}")
    workdir = Path(flag_values.workdir).expanduser()
    if workdir.exists() and not workdir.is_dir():
        raise InputError(f"--workdir: {workdir} is a file; allowed: a folder")
    return validate(flag_values.config, prunes=prunes), workdir


def _check_names(argv: Sequence[str]) -> None:
    """Refuses fields and config files that do not exist, before ml_collections trips over them."""
    for place, argument in enumerate(argv):
        field = re.fullmatch(r"--?(?:no)?config\.([^=]+)(?:=.*)?", argument, re.DOTALL)
        if field and field[1] not in FIELDS:
            raise unknown_field(field[1])
        file = re.fullmatch(r"--?config(?:=(.*))?", argument)
        if file:
            path = file[1] if file[1] is not None else "".join(argv[place + 1 : place + 2])
            if not Path(path.partition(":")[0]).is_file():
                raise InputError(f"--config: no file {path.partition(':')[0]!r}")


def _explain(error: flags.Error) -> InputError:
    """The error of a flag in the words of its field, or the InputError that a config raised."""
    cause: BaseException | None = error
    innermost = None
    while cause is not None:
        innermost = cause if isinstance(cause, InputError) else innermost
        cause = cause.__context__
    if innermost is not None:
        return innermost
    value = re.match(r"flag --(?:no)?config\.([\w.]+)=(.*?): ", str(error), re.DOTALL)
    if value and value[1] in FIELDS:
        return refusal(value[1], value[2], FIELDS[value[1]].allowed)
    return InputError(str(error))
