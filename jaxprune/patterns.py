"""Patterns of sparsity by name. Imports no JAX, so that flags are checked without waiting for it."""

import re

# The sparsity of the authors' example scripts.
DEFAULT_SPARSITY = 0.3


def keep_of(pattern: str) -> tuple[int, int] | None:
    """(N, M) of a pattern `N:M` that keeps N of every M weights; None for any other text."""
    match = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", pattern)
    if match is None or int(match[1]) >= int(match[2]):
        return None
    return int(match[1]), int(match[2])
