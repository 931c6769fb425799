"""Counts compiled programs."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax

_COMPILED = "/jax/core/compile/backend_compile_duration"
_WAS_KEPT = "/jax/compilation_cache/cache_hits"


@dataclass
class Compilation:
    """The cost of compiling.

    Attributes:
      programs: their number.
      kept: the number of them that came from the cache.
    """

    programs: int = 0
    kept: int = 0


@contextlib.contextmanager
def compiling() -> Iterator[Compilation]:
    """Counts the programs that any thread compiles inside the block."""
    counts = Compilation()

    def add(event: str, _: float, **__: Any) -> None:
        counts.programs += event == _COMPILED

    def add_kept(event: str, **_: Any) -> None:
        counts.kept += event == _WAS_KEPT

    jax.monitoring.register_event_duration_secs_listener(add)
    jax.monitoring.register_event_listener(add_kept)
    try:
        yield counts
    finally:
        jax.monitoring.unregister_event_duration_listener(add)
        jax.monitoring.unregister_event_listener(add_kept)
