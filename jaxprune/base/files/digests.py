"""Digests of several files as one."""

import hashlib
from collections.abc import Mapping


def combined(digests: Mapping[str, str]) -> str:
    """One digest of several, by name."""
    lines = (f"{digest} {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
