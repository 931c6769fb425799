"""Where the package keeps what it would otherwise compute again: a folder of the user's, which anybody may empty."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """The folder of this name in the user's cache; it need not be there, nor be writable."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if base == "~/.cache":  # the user has no home, and so a cache that nothing can be written to
        base = os.devnull
    return Path(base) / "jaxprune" / name
