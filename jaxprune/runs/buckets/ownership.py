"""The owner of a workdir in a bucket: the run that made the last object `progress/owner-NNNNNN.json`.

An owner renews its object. A run that wants the workdir watches the object, and makes the next one if it was not
renewed for `LEASE` seconds. No clocks of two machines are compared. Two runs cannot make the same object if the store
has conditional writes.
"""

import contextlib
import json
import os
import re
import signal
import socket
import time
from pathlib import Path

from jaxprune.base.errors import InputError
from jaxprune.base.files.outside import read_json
from jaxprune.base.files.store import Store
from jaxprune.base.progress import say

LEASE = 60.0
RENEW = 10.0
_PREFIX = "progress/owner-"
_NAME = re.compile(re.escape(_PREFIX) + r"(\d{6})\.json")


class Ownership:
    """The ownership of a workdir.

    Args:
      store: store of the workdir.

    Attributes:
      address: address of the workdir.
      is_lost: whether another run has taken over.

    Raises:
      InputError: another run owns the workdir.
    """

    def __init__(self, store: Store) -> None:
        self._store, self.address = store, store.address
        self._beats = 0
        self.is_lost = False
        while True:
            newest = max(_numbers(store), default=0)
            if newest:
                _wait_for_end(store, _name(newest))
            if store.create(_name(newest + 1), self._facts()):
                self._number = newest + 1
                break
        store.remove(_name(old) for old in _numbers(store) if old < self._number)

    def _facts(self) -> bytes:
        facts = {"host": socket.gethostname(), "process": os.getpid(), "beats": self._beats}
        return json.dumps(facts).encode()

    def renew(self) -> None:
        """Shows that the owner is alive; notices a run that has taken over."""
        self._beats += 1
        if max(_numbers(self._store), default=0) > self._number:
            self.is_lost = True
        else:
            self._store.write(_name(self._number), self._facts())

    def renew_or_end(self) -> None:
        """As `renew`; ends the run, as by SIGTERM, if another one has taken over."""
        was_lost = self.is_lost
        self.renew()
        if self.is_lost and not was_lost:
            os.kill(os.getpid(), signal.SIGTERM)

    def release(self) -> None:
        """Ends the ownership. If the store fails now, another run only waits for it."""
        if not self.is_lost:
            with contextlib.suppress(OSError):
                self._store.remove([_name(self._number)])


def is_owner(name: str) -> bool:
    """Whether an object belongs to an owner."""
    return _NAME.fullmatch(name) is not None


def owner_of(workdir: Path) -> str | None:
    """The owner of a workdir, in words, by its copy of the bucket's files; None without one that renewed lately."""
    for file in sorted(workdir.glob(f"{_PREFIX}*.json"), reverse=True):
        if time.time() - file.stat().st_mtime < LEASE:
            return _in_words(read_json(file))
    return None


def _name(number: int) -> str:
    return f"{_PREFIX}{number:06d}.json"


def _numbers(store: Store) -> list[int]:
    return [int(match[1]) for name in store.facts("progress") if (match := _NAME.fullmatch(name))]


def _wait_for_end(store: Store, name: str) -> None:
    """Returns when an owner has released the workdir, or is gone.

    Raises:
      InputError: the owner is alive.
    """
    first, began = _read(store, name), time.monotonic()
    if first is None or _has_ended_here(first):
        return
    owner = _in_words(first)
    wait = f"waits up to {LEASE:.0f} s for a sign of life"
    say(f"workdir: {store.address} belongs to {owner}; {wait}")
    while time.monotonic() - began < LEASE:
        current = _read(store, name)
        if current is None:
            return
        if current.get("beats") != first.get("beats"):
            raise InputError(
                f"--workdir: {owner} is writing to {store.address}; wait for its end, or choose another folder"
            )
        time.sleep(min(1.0, RENEW / 4))


def _in_words(facts: dict[str, object]) -> str:
    return f"process {facts.get('process')} on {facts.get('host')}"


def _has_ended_here(facts: dict[str, object]) -> bool:
    """Whether the owner was a process of this host that has ended."""
    own = Path("/proc/self")
    is_here = own.exists() and facts.get("host") == socket.gethostname()
    return is_here and not own.with_name(str(facts.get("process"))).exists()


def _read(store: Store, name: str) -> dict[str, object] | None:
    try:
        content = json.loads(store.read(name))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
