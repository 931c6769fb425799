"""The end of a script's process: one line that says what is wrong, and an exit code that says whose fault it is.

Imports neither JAX nor anything that does: their import is among what can go wrong.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from jaxprune.errors import InputError, TerminatedError, one_line
from jaxprune.progress import say

BAD_INPUT, ENVIRONMENT = 2, 1
DEBUG = "--debug"  # an argument of every script and command
# The modules of JAX that read the environment: variables at import, platforms at the start.
_OF_JAX = frozenset({"jax._src.config", "jax._src.xla_bridge"})
_MEMORY = ("RESOURCE_EXHAUSTED", "failed to map segment", "can't start new thread")
_LONGEST = 400


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Ends the process after bad input with 2 and after refusals of the environment with 1, and prints `error: …`.

    It ends with 130 after SIGINT and with 143 after SIGTERM, like a process that they kill; a second SIGINT ends it at
    once. Output that does not reach its reader is an error too. Anything else is a bug and keeps its traceback; with
    `--debug` all errors do.
    """
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
            say(f"{error}; the same command goes on from there")
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
                # sys.exit would wait for threads of Orbax, for minutes if they wait for what was interrupted
                os._exit(code)
            sys.exit(code)
        if lost := output.lost():
            say(f"error: stdout: {lost.strerror}")
            sys.exit(ENVIRONMENT)


class Stream:
    """stdout or stderr. If it is lost in the middle of a run, the run goes on and reports the loss at its end.

    The reader of a pipe may leave, or a disk be full.
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
        """The error that kept output from its reader; None if all of it arrived."""
        self.flush()
        if self._fault is not None:
            # Python would try again at the end, and fail with lines of its own
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        return self._fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def show_traceback() -> None:
    """With `--debug`, prints the traceback of the current error; otherwise it gets one line."""
    if DEBUG in sys.argv[1:]:
        traceback.print_exc()


def ending(error: BaseException) -> tuple[str, int] | None:
    """The line and the exit code with which an error ends a script; None for a bug."""
    said = one_line(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        return "ended by SIGINT", 128 + signal.SIGINT
    if isinstance(error, InputError):
        return said, BAD_INPUT
    if isinstance(error, OSError):
        # the user gave the name that is too long
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
    """Turns the first SIGINT into a KeyboardInterrupt; a second one, while that propagates, ends the process.

    Callbacks of Python, such as JAX's for the garbage collector, cannot raise it: it is then sent again.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # ignored, as by nohup
        return

    def interrupt(number: int, _: FrameType | None) -> None:
        signal.signal(number, end_at_once)
        raise KeyboardInterrupt

    def end_at_once(number: int, _: FrameType | None) -> None:
        os.write(2, b"error: ended by SIGINT\n")
        os._exit(128 + number)

    def interrupt_again(unraisable: Any) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            hook(unraisable)
            return
        signal.signal(signal.SIGINT, interrupt)
        main = threading.main_thread().ident
        assert main is not None
        # a signal to the thread also ends what it waits for
        later = threading.Timer(0.01, signal.pthread_kill, (main, signal.SIGINT))
        later.daemon = True
        later.start()

    hook, sys.unraisablehook = sys.unraisablehook, interrupt_again
    signal.signal(signal.SIGINT, interrupt)
    yield
    sys.unraisablehook = hook
    signal.signal(signal.SIGINT, signal.default_int_handler)
