"""Ends processes: at SIGTERM with finished work kept, and all of several when one of them fails, with its reason.

Left alone they would wait for it: for two minutes where devices meet, without end where they exchange sums. There
Python runs no handler of a signal either, so a thread of its own hears of signals.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax

# jax.process_index() waits until all processes have met their devices, which they may never do.
from jax._src.distributed import global_state

from jaxprune import process
from jaxprune.errors import TerminatedError
from jaxprune.progress import say

_KEY, _ALIVE = "jaxprune/failed", "jaxprune/alive"
_POLL = 0.5  # seconds
_OVER = "over"  # said by a process that comes to its end
_SILENCE = 8.0  # seconds; a process that says nothing for so long is gone
_PATIENCE = 5.0  # seconds for what others may still do before all have joined
_FATAL = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_keeps = threading.Event()  # while it is set, SIGTERM waits for the end of a layer
_ending = threading.Lock()  # whoever holds it tells the reason, and ends the process


def _client() -> Any:
    """The client of the key-value store that JAX keeps at process 0."""
    return global_state.client


def listen() -> None:
    """Has this process end at a signal, or when another one fails, wherever it is waiting by then."""
    over = threading.Event()
    heard = _hear_signals()
    thread = threading.Thread(target=_listen, args=(over, heard), name="failures", daemon=True)
    thread.start()

    def stop() -> None:
        signal.set_wakeup_fd(-1)  # nobody reads there any more, which Python would complain of
        over.set()
        thread.join()
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            _client().key_value_set(_mine(), _OVER, allow_overwrite=True)

    atexit.register(stop)  # runs before JAX takes leave of the others, which was registered first


def _hear_signals() -> socket.socket:
    """A socket that receives the number of each signal as a byte, whatever the main thread waits for."""
    heard, told = socket.socketpair()
    told.setblocking(False)
    for number in _FATAL:
        signal.signal(number, lambda *_: None)  # in place of ending this process alone
    signal.set_wakeup_fd(told.detach(), warn_on_full_buffer=False)
    heard.settimeout(_POLL)
    return heard


def _listen(over: threading.Event, heard: socket.socket) -> None:
    client, peers = _client(), _Peers()
    while not over.is_set():
        # a process 0 that is stopped answers nobody, for 100 s until JAX ends the others
        unanswered = threading.Timer(_SILENCE, _leave_the_silent)
        unanswered.daemon = True
        unanswered.start()
        peers.check(client)
        unanswered.cancel()
        with contextlib.suppress(TimeoutError):
            _end_at(signal.Signals(heard.recv(1)[0]))
        try:
            status, line = client.key_value_try_get(_KEY).split(" ", 1)
        except jax.errors.JaxRuntimeError:
            continue  # none has failed
        with _ending:
            say(line)
            _leave(int(status))


def _leave_the_silent() -> None:
    with _ending:
        say("error: process 0 is gone")
        _leave(1)


def _mine() -> str:
    return f"{_ALIVE}/{global_state.process_id}"


class _Peers:
    """The last count of each other process, and its time; each process raises its count twice a second."""

    def __init__(self) -> None:
        self._count = 0
        names = [f"{_ALIVE}/{number}" for number in range(global_state.num_processes or 1)]
        self._heard = dict.fromkeys(names, ("", time.monotonic()))  # all have joined

    def check(self, client: Any) -> None:
        """Says that this process is there, and ends it where another one was and is silent."""
        now = time.monotonic()
        self._count += 1
        try:
            client.key_value_set(_mine(), str(self._count), allow_overwrite=True)
            said = dict(client.key_value_dir_get(_ALIVE))
        except jax.errors.JaxRuntimeError:
            return  # JAX ends this process itself when the first one is gone
        for name, (before, when) in self._heard.items():
            count = said.get(name, "")
            if count != before:
                self._heard[name] = (count, now)
            elif count != _OVER and now - when > _SILENCE:
                end(f"process {name.rpartition('/')[2]} is gone", 1)


def _end_at(number: signal.Signals) -> None:
    if number in _FATAL and not (number == signal.SIGTERM and _keeps.is_set()):
        end(f"ended by {number.name}", 128 + number)


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Ends all processes with the error that ends this one, if it is one of several by then."""
    try:
        yield
    except (SystemExit, TerminatedError):
        raise
    except BaseException as error:
        if not jax.distributed.is_initialized():
            raise
        if known := process.ending(error):
            process.show_traceback()
            end(*known)
        # another process, over whose failure this one may have stumbled, has time to say why
        time.sleep(4 * _POLL)
        said = " ".join(str(error).split())[:200]
        if isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in said:
            end(f"another process is gone: {said}", 1)
        traceback.print_exc()  # a bug
        end(f"{type(error).__name__}: {said}", 1)


def end(message: str, status: int) -> NoReturn:
    """Ends this process, which is one of several, and the others, with one line on stderr and a status."""
    with _ending:
        say(f"error: {message}")
        told = f"{status} error: process {global_state.process_id}: {message}"
        _client().key_value_set(_KEY, told, allow_overwrite=True)
        _leave(status)


def joined(join: Callable[[], None]) -> None:
    """Calls what waits for the other processes, on a thread, so that this one can end meanwhile.

    After a signal it goes on joining for some seconds, to tell the others; they would wait for minutes.
    """
    raised: list[BaseException] = []

    def call() -> None:
        try:
            join()
        except BaseException as error:
            raised.append(error)

    heard: list[int] = []
    thread = threading.Thread(target=call, name="join", daemon=True)
    before = {n: signal.signal(n, lambda number, _: heard.append(number)) for n in _FATAL}
    thread.start()
    coordinator, last = _Coordinator(), time.monotonic()
    while thread.is_alive() and time.monotonic() - last < _PATIENCE:
        thread.join(_POLL)
        if not heard:
            last = time.monotonic()
        if coordinator.is_gone():
            _leave_before("process 0 is gone", 1)
    for number, handler in before.items():
        signal.signal(number, handler)
    if heard:
        leave = _leave_before if raised or thread.is_alive() else end
        leave(f"ended by {signal.Signals(heard[0]).name}", 128 + heard[0])
    if raised:
        raise raised[0]


def _leave_before(message: str, status: int) -> NoReturn:
    say(f"error: {message} before all processes had joined")
    os._exit(status)


class _Coordinator:
    """Notices when process 0 stops answering after it had answered; JAX would go on trying for minutes."""

    def __init__(self) -> None:
        self._heard: float | None = None

    def is_gone(self) -> bool:
        """Connects to it, if it is another process and its address is known by now."""
        address = global_state.coordinator_address
        if address is None or global_state.process_id == 0:
            return False
        host, _, port = address.rpartition(":")
        now = time.monotonic()
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_POLL).close()
        except OSError:
            return self._heard is not None and now - self._heard > _PATIENCE
        self._heard = now
        return False


def _leave(status: int) -> NoReturn:
    """Without taking leave: that would wait for processes that hang. The first one, which holds the word, goes last."""
    time.sleep((6 if global_state.process_id == 0 else 3) * _POLL)
    sys.stdout.flush()
    os._exit(status)


@contextlib.contextmanager
def termination() -> Iterator[threading.Event]:
    """An event that SIGTERM sets inside the block, in place of ending the process.

    Only the main thread can catch signals; elsewhere nothing sets the event.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = signal.signal(signal.SIGTERM, lambda *_: came.set())
    _keeps.set()
    try:
        yield came
    finally:
        _keeps.clear()
        signal.signal(signal.SIGTERM, before)
