"""The user's folder for cached results; it may be emptied at any time."""

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """The folder of this name in the user's cache; it may be missing or not writable."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if base == "~/.cache":  # no home: use a path that cannot be written
        base = os.devnull
    return Path(base) / "jaxprune" / name
