"""How processes end: at SIGTERM with what is done kept, and all of several when one of them fails, with its reason.

Left alone they would wait for it: for two minutes where devices meet, without end where they exchange sums.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import jax
import orbax.checkpoint as ocp

from jaxprune.devices import hosts

_KEY = "jaxprune/failed"
_POLL = 0.5  # seconds
_ending = threading.Lock()  # whoever holds it tells the reason, and ends the process


def is_one_of_several() -> bool:
    """Whether this process was made one of several."""
    return bool(ocp.multihost.is_jax_distributed_client_initialized())


def listen() -> None:
    """Has this process end when another one fails, wherever it is waiting by then."""
    over = threading.Event()
    thread = threading.Thread(target=_listen, args=(over,), name="failures", daemon=True)
    thread.start()

    def stop() -> None:
        over.set()
        thread.join()

    atexit.register(stop)  # runs before JAX takes leave of the others, which was registered first


def _listen(over: threading.Event) -> None:
    client = ocp.multihost.get_jax_distributed_client()
    while not over.wait(_POLL):
        try:
            status, line = client.key_value_try_get(_KEY).split(" ", 1)
        except jax.errors.JaxRuntimeError:
            continue  # none has failed
        with _ending:
            print(line, file=sys.stderr, flush=True)
            _leave(int(status))


def end(message: str, status: int) -> NoReturn:
    """Ends this process, and those that are one with it, with one line on stderr and a status."""
    with _ending:
        print(f"error: {message}", file=sys.stderr, flush=True)
        if not is_one_of_several():
            sys.exit(status)
        told = f"{status} error: process {jax.process_index()}: {message}"
        ocp.multihost.get_jax_distributed_client().key_value_set(_KEY, told, allow_overwrite=True)
        _leave(status)


def wait_for_word() -> None:
    """Gives another process time to tell why it failed, where this one stumbled over that."""
    time.sleep(4 * _POLL)


def _leave(status: int) -> NoReturn:
    """Without taking leave: that would wait for processes that hang. The first one, which holds the word, goes last."""
    time.sleep((6 if hosts.is_first() else 3) * _POLL)
    sys.stdout.flush()
    os._exit(status)


class TerminatedError(Exception):
    """SIGTERM came, and what is done is kept. The message says how far it went."""


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
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)
