"""How the process of a script ends: with one line that says what is wrong, and a code that says whose fault it is.

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
from typing import Any, NoReturn

from jaxprune.errors import InputError, TerminatedError, one_line
from jaxprune.progress import say

BAD_INPUT, ENVIRONMENT = 2, 1
DEBUG = "--debug"  # an argument of every script and command
# Where JAX reads what the environment says: variables when it is imported, platforms when it starts.
_OF_JAX = frozenset({"jax._src.config", "jax._src.xla_bridge"})
_MEMORY = ("RESOURCE_EXHAUSTED", "failed to map segment", "can't start new thread")
_LONGEST = 400


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Ends the process at bad input with 2 and at what the environment refuses with 1, after `error: …` in one line.

    After SIGINT with 130, after SIGTERM with 143, as a process that they ended would; a second SIGINT ends it at once.
    What was printed reaches its reader, or that is an error too. Anything else is a bug and keeps its traceback; with
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
            if isinstance(error, KeyboardInterrupt):
                say(f"error: {end[0]}")
                # sys.exit would wait for threads of Orbax, for minutes where they wait for what was interrupted
                os._exit(end[1])
            leave(*end)
        if lost := output.lost():
            leave(f"stdout: {lost.strerror}", ENVIRONMENT)


class Stream:
    """stdout or stderr, whose loss does not end a run in the middle: it is kept, to be told at the end.

    The reader of a pipe may go, and a disk be full.
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
        """Why not all that was written has reached its reader; None if it has."""
        self.flush()
        if self._fault is not None:
            # Python would try again at the end, and fail with lines of its own
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        return self._fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def show_traceback() -> None:
    """With `--debug`, that of the error in hand, of which otherwise a line is told."""
    if DEBUG in sys.argv[1:]:
        traceback.print_exc()


def ending(error: BaseException) -> tuple[str, int] | None:
    """What an error ends a script with, in a line, and the exit code; None for a bug."""
    said = one_line(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        return "ended by SIGINT", 128 + signal.SIGINT
    if isinstance(error, InputError):
        return said, BAD_INPUT
    if isinstance(error, OSError):
        too_long = error.errno == errno.ENAMETOOLONG  # whoever gave the name can mend it
        return _short(said), BAD_INPUT if too_long else ENVIRONMENT
    if isinstance(error, MemoryError) or any(sign in said for sign in _MEMORY):
        return f"memory or threads: {_short(said)}", ENVIRONMENT
    if _is_of_jax(error):
        settings = {name: value for name, value in os.environ.items() if name.startswith("JAX_")}
        given = ", ".join(f"{name}={value}" for name, value in sorted(settings.items()))
        return f"JAX does not start: {_short(said)}; set: {given or 'nothing'}", BAD_INPUT
    return None


def _is_of_jax(error: BaseException) -> bool:
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__") in _OF_JAX for frame, _ in frames)


def _short(said: str) -> str:
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


def leave(message: str, status: int) -> NoReturn:
    """Ends the process with a line on stderr."""
    say(f"error: {message}")
    sys.exit(status)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """The first SIGINT is a KeyboardInterrupt; a second one, while that is on its way, ends the process.

    What Python calls in between, as JAX's callback of the garbage collector, cannot raise: there it comes again.
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
