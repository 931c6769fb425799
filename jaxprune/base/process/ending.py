"""The end of a command's process: one line with the error, and an exit code for its kind.

Imports neither JAX nor anything that imports it, as that import may fail.
"""

import contextlib
import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from jaxprune.base.errors import InputError, TerminatedError, one_line
from jaxprune.base.progress import say

BAD_INPUT, ENVIRONMENT = 2, 1
DEBUG = "--debug"  # an argument of every command
# The modules of JAX that read environment variables at import, and platforms at the start.
_OF_JAX = frozenset({"jax._src.config", "jax._src.xla_bridge"})
_MEMORY = ("RESOURCE_EXHAUSTED", "failed to map segment", "can't start new thread")
_LONGEST = 400


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Prints `error: …` and ends the process, with 2 for bad input and with 1 for errors of the environment.

    The exit code is 130 after SIGINT and 143 after SIGTERM, as if the signal had killed the process; a second SIGINT
    ends it at once. Output that cannot be written is an error too. Any other exception is a bug and keeps its
    traceback; with `--debug` every error has one.
    """
    # None if the shell closed them, as by >&-
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    output, errors = Stream(sys.stdout), Stream(sys.stderr)
    with (
        _interruptible(),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            yield
        except TerminatedError as error:
            output.lost()
            say(f"{error}; the same command resumes from there")
            sys.exit(128 + signal.SIGTERM)
        except SystemExit as stop:
            if output.lost() is None or stop.code:
                raise
        except BaseException as error:
            output.lost()
            end = ending(error)
            if end is None:
                raise
            show_traceback()
            message, code = end
            say(f"error: {message}")
            if isinstance(error, KeyboardInterrupt):
                # sys.exit would wait for threads of Orbax, for minutes if they wait for the interrupted one
                os._exit(code)
            sys.exit(code)
        if lost := output.lost():
            say(f"error: stdout: {lost.strerror}")
            sys.exit(ENVIRONMENT)


class Stream:
    """stdout or stderr. If it fails during a run, the run continues and reports the failure at its end.

    The reader of a pipe may exit, or a disk may be full.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._fault: OSError | None = None

    def write(self, text: str) -> int:
        self._unless_lost(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._unless_lost(self._stream.flush)

    def _unless_lost(self, call: Callable[..., Any], *arguments: str) -> None:
        if self._fault is None:
            try:
                call(*arguments)
            except OSError as error:
                self._fault = error

    def lost(self) -> OSError | None:
        """The error of the first failed write; None if all output was written."""
        self.flush()
        if self._fault is not None:
            # Python would flush again at exit, and print lines of its own
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        return self._fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def show_traceback() -> None:
    """Prints the traceback of the current error if `--debug` is given."""
    if DEBUG in sys.argv[1:]:
        traceback.print_exc()


def ending(error: BaseException) -> tuple[str, int] | None:
    """The line and the exit code with which an error ends a command; None for a bug."""
    said = one_line(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        return "ended by SIGINT", 128 + signal.SIGINT
    if isinstance(error, InputError):
        return said, BAD_INPUT
    if isinstance(error, OSError):
        # a name that is too long comes from the user
        return _short(said), BAD_INPUT if error.errno == errno.ENAMETOOLONG else ENVIRONMENT
    if isinstance(error, MemoryError) or any(sign in said for sign in _MEMORY):
        return f"memory or threads: {_short(said)}", ENVIRONMENT
    frames = traceback.walk_tb(error.__traceback__)
    if any(frame.f_globals.get("__name__") in _OF_JAX for frame, _ in frames):
        settings = {name: value for name, value in os.environ.items() if name.startswith("JAX_")}
        given = ", ".join(f"{name}={value}" for name, value in sorted(settings.items()))
        return f"JAX does not start: {_short(said)}; set: {given or 'nothing'}", BAD_INPUT
    return None


def _short(said: str) -> str:
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Converts the first SIGINT to a KeyboardInterrupt; a second one, while that propagates, ends the process."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # ignored, as by nohup
        return

    def interrupt(number: int, _: FrameType | None) -> None:
        signal.signal(number, end_at_once)
        raise KeyboardInterrupt

    def end_at_once(number: int, _: FrameType | None) -> None:
        os.write(2, b"error: ended by SIGINT\n")
        os._exit(128 + number)

    signal.signal(signal.SIGINT, interrupt)
    yield
    signal.signal(signal.SIGINT, signal.default_int_handler)
