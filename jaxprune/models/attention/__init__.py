"""Queries, keys and values → causal attention, on the path that `paths.PATHS` has for what it needs."""

from jaxprune.models.attention.attend import causal_attention
from jaxprune.models.attention.paths import Path, path_for
from jaxprune.models.attention.scoring import Prefix, Scoring, capped

__all__ = [
    "Path",
    "Prefix",
    "Scoring",
    "capped",
    "causal_attention",
    "path_for",
]
