"""A folder of the user's for results that would otherwise be computed again; it may be emptied at any time."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """The folder of this name in the user's cache; it may be missing or not writable."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if base == "~/.cache":  # the user has no home: a path that cannot be written
        base = os.devnull
    return Path(base) / "jaxprune" / name
