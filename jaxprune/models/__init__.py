"""config.json and parameters → a model's embedding, blocks of four sites, and head, as Flax NNX modules."""

from jaxprune.models.attention import QUERIES, softmax_parts
from jaxprune.models.block import SITES, Block
from jaxprune.models.config import ModelConfig
from jaxprune.models.families import FAMILIES
from jaxprune.models.family import Family
from jaxprune.models.model import Modules, family_of, init, load_config, logits, modules
from jaxprune.models.positions import Positions, Tree

__all__ = [
    "FAMILIES",
    "QUERIES",
    "SITES",
    "Block",
    "Family",
    "ModelConfig",
    "Modules",
    "Positions",
    "Tree",
    "family_of",
    "init",
    "load_config",
    "logits",
    "modules",
    "softmax_parts",
]
