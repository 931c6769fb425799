"""Checks before a command starts: limits of the system, arguments, environment.

C++ libraries end a process with messages of their own if memory, threads or files are too few, or if they do not know a
flag. So this is checked first. Imports neither JAX nor anything that imports it.
"""

import contextlib
import os
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping

from jaxprune.errors import InputError, refusal, unusable
from jaxprune.process.ending import errors_in_one_line

# Measured: 2.0 GB with two cores. The thread pools of XLA, tensorstore and BLAS reserve a stack for each core.
_ADDRESSES, _ADDRESSES_PER_CORE = 2 << 30, 256 << 20
_THREADS, _THREADS_PER_CORE = 16, 8
_FILES = 64  # a checkpoint is written by several threads
_MOST_DEVICES = 1024  # more need minutes to start
_FORCED_DEVICES = re.compile(r"--xla_force_host_platform_device_count=(\d+)")
_TRY_FLAGS = "from jaxlib import xla_client; xla_client.CompileOptions()"
_OF_XLA = re.compile(r".*\] ")  # level, time and source line of a message


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Surrounds a command with its imports: checks the limits of the system and the settings of JAX and XLA first.

    An error ends the process, see `errors_in_one_line`.
    """
    with errors_in_one_line():
        check_system()
        check_arguments(sys.argv[1:])
        check_devices(os.environ)
        check_cache(os.environ)
        check_xla_flags(os.environ)
        yield


def cores() -> int:
    """Those that this process may use; all of the machine where the system, as macOS, does not tell."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return own or 1


def check_system() -> None:
    """Rejects a process whose limits are too low for any command.

    Raises:
      OSError: names the limit.
    """
    count = cores()
    least = _ADDRESSES + count * _ADDRESSES_PER_CORE
    for name, limit, needed in (
        ("memory: RLIMIT_AS (ulimit -v) in bytes", resource.RLIMIT_AS, least),
        ("files: RLIMIT_NOFILE (ulimit -n)", resource.RLIMIT_NOFILE, _FILES),
    ):
        granted, _ = resource.getrlimit(limit)
        if granted != resource.RLIM_INFINITY and granted < needed:
            raise OSError(f"{name} is {granted}; expected at least {needed}")
    _check_threads(_THREADS + count * _THREADS_PER_CORE)


def _check_threads(count: int) -> None:
    """Starts this many at once, as the limit may be that of the user or of a cgroup."""
    over = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(count):
            thread = threading.Thread(target=over.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        raise OSError(
            f"threads: the system allows {len(started)}; expected at least {count} (ulimit -u, pids.max)"
        ) from None
    finally:
        over.set()
        for thread in started:
            thread.join()


def check_arguments(arguments: list[str]) -> None:
    """Rejects arguments and a working directory whose names libraries cannot use.

    Raises:
      InputError: names the argument and the reason.
    """
    for argument in arguments:
        if why := unusable(argument.partition("=")[2] if argument[:1] == "-" else argument):
            raise InputError(f"{argument!r}: {why}")
    if why := unusable(os.getcwd()):
        raise InputError(f"working directory {os.getcwd()!r}: {why}")


def check_devices(environment: Mapping[str, str]) -> None:
    """Rejects numbers of CPU devices for which JAX needs minutes, or fails with an unclear message.

    Raises:
      InputError: names the variable.
    """
    name = "JAX_NUM_CPU_DEVICES"
    forced = _FORCED_DEVICES.search(environment.get("XLA_FLAGS", ""))
    given = {name: environment.get(name, "1"), "XLA_FLAGS": forced[1] if forced else "1"}
    for variable, number in given.items():
        if re.fullmatch(r"-?\d+", number) and int(number) not in (-1, *range(1, _MOST_DEVICES + 1)):
            raise refusal(variable, number, f"1 to {_MOST_DEVICES} devices")


def check_cache(environment: Mapping[str, str]) -> None:
    """Rejects unknown values of JAXPRUNE_CACHE, and a compilation cache that cannot be written.

    JAX would warn for every compiled function.

    Raises:
      InputError: names the variable.
    """
    kept = environment.get("JAXPRUNE_CACHE", "on")
    if kept not in ("on", "off"):
        raise refusal("JAXPRUNE_CACHE", kept, ("on", "off"))
    folder = environment.get("JAX_COMPILATION_CACHE_DIR")
    if not folder or "://" in folder:
        return
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
    if not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        raise refusal("JAX_COMPILATION_CACHE_DIR", folder, "a folder that can be written")


def check_xla_flags(environment: Mapping[str, str]) -> None:
    """Rejects XLA_FLAGS for which XLA would end the process. XLA reads them once, so another process tests them.

    Raises:
      InputError: with XLA's message.
    """
    flags = environment.get("XLA_FLAGS")
    if not flags or "jax" in sys.modules:  # XLA may have read them already
        return
    tried = subprocess.run([sys.executable, "-c", _TRY_FLAGS], capture_output=True, check=False)
    if tried.returncode != 0:
        said, *_ = [*tried.stderr.decode(errors="replace").splitlines(), "not understood"]
        raise InputError(f"XLA_FLAGS: {_OF_XLA.sub('', said)}; set: {flags!r}")
