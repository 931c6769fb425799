"""Prompts → generated tokens, by greedy decoding or beam search."""

from jaxprune.evaluation.generation.generator import BATCH as BATCH
from jaxprune.evaluation.generation.generator import Generator as Generator
from jaxprune.evaluation.generation.generator import check_beams as check_beams
