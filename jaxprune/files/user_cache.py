"""Where the package keeps what it would otherwise compute again: a folder of the user's, which anybody may empty."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """The folder of this name in the user's cache; it need not be there, nor be writable.

    Raises:
      OSError: nobody knows where the user's home is.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if base.startswith("~"):
        raise FileNotFoundError("the user has no home directory")
    return Path(base) / "jaxprune" / name
