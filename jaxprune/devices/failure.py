"""Ends processes: at SIGTERM with finished work kept, and all of them if one fails, with its reason.

Otherwise they would wait for the failed one: for two minutes while devices connect, without end while they exchange
sums. Python runs no signal handlers during these waits, so a separate thread receives signals.
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
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax

# jax.process_index() waits until all processes have initialised their devices, which may never happen.
from jax._src.distributed import global_state

from jaxprune import process
from jaxprune.errors import TerminatedError
from jaxprune.progress import say

_FAILED, _KEY, _ALIVE = "jaxprune/failed", "jaxprune/failed/reason", "jaxprune/alive"
_POLL = 0.5  # seconds
_OVER = "over"  # the count of a process that ends normally
_SILENCE = 8.0  # seconds without a new count after which a process counts as gone
_PATIENCE = 5.0  # seconds to wait for other processes before all have joined
_QUIET = 10.0  # seconds after which a process says for whom it waits
_FATAL = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_keeps = threading.Event()  # while it is set, SIGTERM waits for the end of a layer
_ending = threading.Lock()  # its owner reports the reason and ends the process


def _client() -> Any:
    """The client of the key-value store that JAX keeps at process 0."""
    return global_state.client


def listen() -> None:
    """Makes this process end at a signal or if another process fails, even while it waits."""
    over = threading.Event()
    heard = _hear_signals()
    thread = threading.Thread(target=_listen, args=(over, heard), name="failures", daemon=True)
    thread.start()

    def stop() -> None:
        over.set()
        thread.join()
        signal.set_wakeup_fd(-1)  # otherwise Python warns that nothing reads from it

    atexit.register(stop)  # runs before JAX disconnects, which was registered first


def _hear_signals() -> socket.socket:
    """A socket that receives the number of each signal as a byte, even while the main thread waits."""
    heard, sender = socket.socketpair()
    sender.setblocking(False)
    for number in _FATAL:
        signal.signal(number, lambda *_: None)  # in place of ending this process alone
    signal.set_wakeup_fd(sender.detach(), warn_on_full_buffer=False)
    heard.settimeout(_POLL)
    return heard


def _listen(over: threading.Event, heard: socket.socket) -> None:
    client, peers = _client(), _Peers()
    # JAX waits for all processes before it disconnects one, and would end it if another one fails meanwhile
    while not (over.is_set() and peers.are_over()):
        # A stopped process 0 does not answer; JAX would end the others only after 100 s.
        gone = ("error: process 0 is gone", 1)
        unanswered = threading.Timer(_SILENCE, _report_and_leave, gone)
        unanswered.daemon = True
        unanswered.start()
        peers.check(client, _OVER if over.is_set() else None)
        try:
            reason = dict(client.key_value_dir_get(_FAILED)).get(_KEY)
        except jax.errors.JaxRuntimeError:
            reason = None
        unanswered.cancel()
        if reason:
            status, line = reason.split(" ", 1)
            _report_and_leave(line, int(status))
        with contextlib.suppress(TimeoutError):
            _end_at(signal.Signals(heard.recv(1)[0]))


def _report_and_leave(line: str, status: int) -> None:
    with _ending:
        say(line)
        _leave(status)


class _Peers:
    """The last count of each process, and its time; each process increments its count twice a second."""

    def __init__(self) -> None:
        self._count = 0
        names = [f"{_ALIVE}/{number}" for number in range(global_state.num_processes or 1)]
        self._heard = dict.fromkeys(names, ("", time.monotonic()))  # all have joined

    def are_over(self) -> bool:
        """Whether all processes end normally."""
        return all(count == _OVER for count, _ in self._heard.values())

    def check(self, client: Any, last: str | None) -> None:
        """Increments the count of this process, or sets its last one; ends it if the count of another has stopped."""
        now = time.monotonic()
        self._count += 1
        try:
            client.key_value_set(
                f"{_ALIVE}/{global_state.process_id}",
                last or str(self._count),
                allow_overwrite=True,
            )
            said = dict(client.key_value_dir_get(_ALIVE))
        except jax.errors.JaxRuntimeError:
            return  # JAX ends this process itself if process 0 is gone
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
    """Ends all processes with the error that ends this one, if they are several."""
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
        # The error may result from the failure of another process, which gets time to report its reason.
        time.sleep(4 * _POLL)
        said = " ".join(str(error).split())[:200]
        if isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in said:
            end(f"another process is gone: {said}", 1)
        traceback.print_exc()  # a bug
        end(f"{type(error).__name__}: {said}", 1)


def end(message: str, status: int) -> NoReturn:
    """Ends this process and all others with one line on stderr and an exit status."""
    with _ending:
        say(f"error: {message}")
        reason = f"{status} error: process {global_state.process_id}: {message}"
        _client().key_value_set(_KEY, reason, allow_overwrite=True)
        _leave(status)


def joined(join: Callable[[], None]) -> None:
    """Calls `join`, which waits for the other processes, on a thread, so that this process can end meanwhile.

    After a signal it continues to join for some seconds to inform the others, which would wait for minutes.
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
    quiet_until = last + _QUIET
    while thread.is_alive() and time.monotonic() - last < _PATIENCE:
        thread.join(_POLL)
        if not heard:
            last = time.monotonic()
        if coordinator.is_gone():
            _leave_before("process 0 is gone", 1)
        if not heard and time.monotonic() > quiet_until and (line := coordinator.wait_line()):
            say(line)
            quiet_until = math.inf
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
    """Detects that process 0 no longer answers; JAX would retry for minutes."""

    def __init__(self) -> None:
        self._heard: float | None = None

    def is_gone(self) -> bool:
        """Whether process 0, once reached, has not answered for `_PATIENCE`; False while its address is unknown."""
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

    def wait_line(self) -> str:
        """For whom this process waits; empty while its number is unknown. JAX does not say who is missing."""
        address, process = global_state.coordinator_address, global_state.process_id
        if address is None or global_state.num_processes == 1:
            return ""
        if process and self._heard is None:
            return f"process {process}: waits for process 0 at {address}"
        return (
            f"process {process} of {global_state.num_processes} has joined and waits for the others"
        )


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
