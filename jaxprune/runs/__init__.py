"""A config → a workdir: a complete run of pruning, recovery or shrinking, its outputs, resuming and verification."""

from jaxprune.runs import checkpoint as checkpoint
