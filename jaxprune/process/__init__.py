"""A script's process: what it needs before its imports, and the one line and exit code that it ends with.

Imports neither JAX nor anything that does: their import is among what can go wrong.
"""

from jaxprune.process.ending import (
    DEBUG,
    ending,
    errors_in_one_line,
    show_traceback,
)
from jaxprune.process.start import starting

__all__ = [
    "DEBUG",
    "ending",
    "errors_in_one_line",
    "show_traceback",
    "starting",
]
