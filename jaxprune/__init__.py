"""Prune multilingual language models for non-English tasks, in JAX."""

from jaxprune.version import __version__

__all__ = ["__version__"]
