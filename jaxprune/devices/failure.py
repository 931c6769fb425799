"""Ends processes: at SIGTERM with finished work kept, and all of them if one fails, with its reason.

A process that fails writes its reason to JAX's store at process 0, and a thread of each process polls that store. JAX's
heartbeat ends the others if a process is killed or stopped. Python runs no signal handlers while a process joins the
others or waits in a collective, so the same thread receives signals.
"""

import atexit
import contextlib
import math
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

import jax

# jax.process_index() waits until all processes have initialised their devices, which may never happen.
from jax._src.distributed import global_state

from jaxprune.base.ending import ending, show_traceback
from jaxprune.base.errors import TerminatedError
from jaxprune.base.progress import say

_REASON = "jaxprune/reason"  # key of the store
_POLL = 0.5  # seconds
_WAITING = 10.0  # seconds after which a process says that it waits for the others
_ending = threading.Lock()  # its owner reports the reason and ends the process


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Surrounds the join of the processes: from its start a signal ends this process, afterwards all of them.

    After the join this process also ends if another one fails.
    """
    joined, over = threading.Event(), threading.Event()
    arguments = (_receive_signals(), joined, over)
    thread = threading.Thread(target=_listen, args=arguments, name="failures", daemon=True)
    thread.start()
    yield
    joined.set()

    def disconnect() -> None:
        jax.distributed.shutdown()  # waits for all processes, any of which may still fail
        over.set()
        thread.join()
        signal.set_wakeup_fd(-1)  # otherwise Python warns that nothing reads from it

    atexit.register(disconnect)


def _receive_signals() -> socket.socket:
    """A socket that receives the number of each signal as a byte, even while the main thread waits."""
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as SIGHUP after nohup
            signal.signal(number, _leave_to_listener)
    signal.set_wakeup_fd(sender.detach(), warn_on_full_buffer=False)
    receiver.settimeout(_POLL)
    return receiver


def _leave_to_listener(*_: Any) -> None:
    """The handler of signals that end all processes; the default ones would end this process alone."""


def _listen(signals: socket.socket, joined: threading.Event, over: threading.Event) -> None:
    says_at = time.monotonic() + _WAITING
    while not over.is_set():
        if joined.is_set():
            _end_with_others()
        elif time.monotonic() > says_at:
            says_at = math.inf
            address = global_state.coordinator_address
            say(f"waiting for the other processes, which must all reach {address}")
        with contextlib.suppress(TimeoutError):
            _end_at(signal.Signals(signals.recv(1)[0]), joined.is_set())


def _end_with_others() -> None:
    """Ends this process with the reason of another one, if one has failed."""
    client = global_state.client
    if client is None:  # disconnected
        return
    try:
        status, line = client.key_value_try_get(_REASON).split(" ", 1)
    except jax.errors.JaxRuntimeError:
        return  # none has failed; or process 0 is gone, and JAX ends this one
    with _ending:
        say(line)
        _leave(int(status))


def _end_at(number: signal.Signals, joined: bool) -> None:
    if signal.getsignal(number) is not _leave_to_listener:
        return  # SIGTERM, which waits for the end of a layer
    if not joined:
        say(f"error: ended by {number.name} before all processes had joined")
        os._exit(128 + number)
    end(f"ended by {number.name}", 128 + number)


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Ends all processes with the error that ends this one, if they are several."""
    try:
        yield
    except (SystemExit, TerminatedError):
        raise
    except BaseException as error:
        if not jax.distributed.is_initialized():
            raise
        if own_ending := ending(error):
            show_traceback()
            end(*own_ending)
        # The error may result from the failure of another process, which gets time to report its reason.
        time.sleep(4 * _POLL)
        message = " ".join(str(error).split())[:200]
        if isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in message:
            end(f"another process is gone: {message}", 1)
        traceback.print_exc()  # a bug
        end(f"{type(error).__name__}: {message}", 1)


def end(message: str, status: int) -> NoReturn:
    """Ends this process and all others with one line on stderr and an exit status."""
    with _ending:
        say(f"error: {message}")
        reason = f"{status} error: process {global_state.process_id}: {message}"
        client: Any = global_state.client
        # Another process may have been first, or process 0 be gone.
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            client.key_value_set(_REASON, reason)
        _leave(status)


def _leave(status: int) -> NoReturn:
    """Exits without disconnecting, which would wait for hanging processes. Process 0 has the store and exits last."""
    time.sleep((6 if global_state.process_id == 0 else 3) * _POLL)
    sys.stdout.flush()
    os._exit(status)


@contextlib.contextmanager
def termination() -> Iterator[threading.Event]:
    """An event that SIGTERM sets inside the block instead of ending the process.

    Only the main thread can catch signals; elsewhere nothing sets the event.
    """
    terminated = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield terminated
        return
    before = signal.signal(signal.SIGTERM, lambda *_: terminated.set())
    try:
        yield terminated
    finally:
        signal.signal(signal.SIGTERM, before)
