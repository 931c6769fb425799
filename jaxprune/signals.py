"""SIGTERM, as preemptible machines send it: finish what is in hand, then stop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


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
