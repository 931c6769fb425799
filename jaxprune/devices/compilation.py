"""Compilation: compiled programs are stored in the user's cache, and counted for reports.

This is JAX's persistent cache. Its key contains the program, the compiler with its version and options, and the
devices, for a CPU including its instructions, so each kind of CPU compiles its own programs. A cached program is the
machine code that the compiler made and computes the same bits. Each entry ends with its SHA-256, as JAX would load
damaged code, which may crash the process.
"""

import contextlib
import hashlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import jax
import jaxlib.version
from jax._src import compilation_cache
from jax._src.lru_cache import LRUCache

from jaxprune.files import user_cache

# JAX's own environment variables, the names in capitals, have precedence.
_SETTINGS = {
    # Adding an entry checks all files, 0.1 ms each. A program for a CPU has about 40 kB.
    "jax_compilation_cache_max_size": 128 << 20,
    "jax_persistent_cache_min_compile_time_secs": 0.05,
    "jax_persistent_cache_enable_xla_caches": "none",  # those of GPUs have no size limit
}
# Older versions warn for every program with AVX-512 that this CPU may not run it (openxla/xla issue 44565).
_LEAST_JAXLIB = (0, 10, 2)
_PATIENCE = 2.0  # seconds to wait for the lock, which others keep for milliseconds
_COMPILED = "/jax/core/compile/backend_compile_duration"
_WAS_KEPT = "/jax/compilation_cache/cache_hits"


def keep_compiled() -> None:
    """Makes JAX store the programs that it compiles from now on in `compiled` in the user's cache.

    Does nothing if JAXPRUNE_CACHE is off or if JAX's own settings name a cache or disable it. A folder that cannot be
    used, or that other users may write to (machine code is loaded from it), is not used.
    """
    settings = jax.config.values
    is_set = settings["jax_compilation_cache_dir"] or not settings["jax_enable_compilation_cache"]
    is_off = os.environ.get("JAXPRUNE_CACHE") == "off"
    if is_set or is_off or jaxlib.version.__version_info__ < _LEAST_JAXLIB:
        return
    folder = user_cache("compiled")
    if not _is_usable(folder):
        return
    for name, value in _SETTINGS.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    compilation_cache.LRUCache = CheckedCache  # type: ignore[misc]
    # A program that cannot be read or stored is compiled; the user need not act.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")
    warnings.filterwarnings("ignore", "Cache value for key .* exceeds the maximum cache size")


class CheckedCache(LRUCache):
    """JAX's cache with verified entries: a damaged one is removed and counts as missing."""

    def get(self, key: str) -> bytes | None:
        """The entry of a key; None if it is missing or damaged."""
        entry = super().get(key)
        if entry is None:
            return None
        value = entry[: -hashlib.sha256().digest_size]
        if entry == _sealed(key, value):
            return value
        (self.path / f"{key}-cache").unlink(missing_ok=True)
        return None

    def put(self, key: str, value: bytes) -> None:
        """Adds an entry."""
        super().put(key, _sealed(key, value))


def _sealed(key: str, value: bytes) -> bytes:
    return value + hashlib.sha256(key.encode() + value).digest()


def _is_usable(folder: Path) -> bool:
    """Makes the folder and removes leftovers of killed processes; False if it cannot be locked, or others may write.

    JAX writes a program, then a second file with the time of its use. If the second file is missing, JAX caches nothing
    more.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
        if about.st_uid != os.geteuid() or about.st_mode & 0o022:
            return False
        with filelock.FileLock(folder / ".lockfile", timeout=_PATIENCE):  # that of JAX
            for program in folder.glob("*-cache"):
                if not program.with_name(f"{program.name.removesuffix('-cache')}-atime").exists():
                    program.unlink()
    except (OSError, NotImplementedError):  # no flock; filelock.Timeout is an OSError
        return False
    return True


@dataclass
class Compilation:
    """The cost of compiling.

    Attributes:
      seconds: of compiling, or of reading cached programs.
      programs: their number.
      kept: the number of them that came from the cache.
    """

    seconds: float = 0.0
    programs: int = 0
    kept: int = 0


@contextlib.contextmanager
def compiling() -> Iterator[Compilation]:
    """Counts the programs that any thread compiles inside the block."""
    counts = Compilation()

    def add(event: str, duration_secs: float, **_: Any) -> None:
        if event == _COMPILED:
            counts.seconds += duration_secs
            counts.programs += 1

    def add_kept(event: str, **_: Any) -> None:
        counts.kept += event == _WAS_KEPT

    jax.monitoring.register_event_duration_secs_listener(add)
    jax.monitoring.register_event_listener(add_kept)
    try:
        yield counts
    finally:
        jax.monitoring.unregister_event_duration_listener(add)
        jax.monitoring.unregister_event_listener(add_kept)
