"""Prompts → the tokens that a model writes after them, greedily or by beam search."""

from jaxprune.evaluation.generation.generator import BATCH, Generator, check_beams

__all__ = [
    "BATCH",
    "Generator",
    "check_beams",
]
