"""The end of a command's process: one line with the error, and an exit code for its kind.

Imports neither JAX nor anything that imports it, as that import may fail.
"""

import contextlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator

from jaxprune.base.errors import InputError, TerminatedError, one_line
from jaxprune.base.progress import say

BAD_INPUT, ENVIRONMENT = 2, 1
DEBUG = "--debug"  # an argument of every command
# The modules of JAX that read environment variables at import, and platforms at the start.
_JAX_MODULES = frozenset({"jax._src.config", "jax._src.xla_bridge"})
_MEMORY = ("RESOURCE_EXHAUSTED", "failed to map segment", "can't start new thread")


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Prints `error: …` and ends the process, with 2 for bad input and with 1 for errors of the environment.

    The exit code is 130 after SIGINT and 143 after SIGTERM, as if the signal had killed the process, and 141 without a
    line if nobody reads the output. Output that cannot be written is an error too. Any other exception is a bug and
    keeps its traceback, as every error with `--debug`.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            with _interrupts_that_arrive():
                yield
        except SystemExit:
            _flush_stdout()
            raise
        _flush_stdout()
    except TerminatedError as error:
        say(f"{error}; the same command resumes from there")
        sys.exit(128 + signal.SIGTERM)
    except BaseException as error:
        if isinstance(error, BrokenPipeError):  # the reader has enough, such as head
            os._exit(128 + signal.SIGPIPE)
        end = ending(error)
        if end is None:
            raise
        with contextlib.suppress(OSError):
            _flush_stdout()
        show_traceback()
        message, code = end
        say(f"error: {message}")
        if isinstance(error, KeyboardInterrupt):
            # sys.exit would wait for threads of Orbax, for minutes if they wait for the interrupted one
            os._exit(code)
        sys.exit(code)


@contextlib.contextmanager
def _interrupts_that_arrive() -> Iterator[None]:
    """Repeats a SIGINT that came during a callback of the garbage collector, of which JAX has one.

    Python prints the exceptions of such callbacks, KeyboardInterrupt too, and goes on.
    """
    before = sys.unraisablehook

    def hook(ignored: "sys.UnraisableHookArgs") -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            before(ignored)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _flush_stdout() -> None:
    """Flushes stdout; after a failure Python does not try again at exit, which would print its own lines."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        error.filename = "stdout"
        raise


def show_traceback() -> None:
    """Prints the traceback of the current error if `--debug` is given."""
    if DEBUG in sys.argv[1:]:
        traceback.print_exc()


def ending(error: BaseException) -> tuple[str, int] | None:
    """The line and the exit code with which an error ends a command; None for a bug."""
    message = one_line(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        return "ended by SIGINT; repeat the command to go on", 128 + signal.SIGINT
    if isinstance(error, InputError) or message.startswith("Could not determine home"):  # of ~user
        return message, BAD_INPUT
    if isinstance(error, OSError):
        return message, ENVIRONMENT
    if isinstance(error, MemoryError) or any(sign in message for sign in _MEMORY):
        return f"memory or threads: {message}", ENVIRONMENT
    frames = traceback.walk_tb(error.__traceback__)
    if any(frame.f_globals.get("__name__") in _JAX_MODULES for frame, _ in frames):
        settings = {name: value for name, value in os.environ.items() if name.startswith("JAX_")}
        variables = ", ".join(f"{name}={value}" for name, value in sorted(settings.items()))
        return f"JAX does not start: {message}; set: {variables or 'nothing'}", BAD_INPUT
    return None
