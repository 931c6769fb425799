"""config.json and parameters → a model's embedding, blocks of four sites, and head, as Flax NNX modules."""

from jaxprune.models.attention import Prefix, causal_attention
from jaxprune.models.block import SITES, Block
from jaxprune.models.config import ModelConfig
from jaxprune.models.families import FAMILIES
from jaxprune.models.family import Family
from jaxprune.models.model import Modules, family_of, init, load_config, logits, modules
from jaxprune.models.positions import Positions, Tree
from jaxprune.models.trees import (
    BlockParams,
    EmbedParams,
    HeadParams,
    MaskTree,
    Params,
    ScoreTree,
    named_leaves,
    path_name,
)

__all__ = [
    "FAMILIES",
    "SITES",
    "Block",
    "BlockParams",
    "EmbedParams",
    "Family",
    "HeadParams",
    "MaskTree",
    "ModelConfig",
    "Modules",
    "Params",
    "Positions",
    "Prefix",
    "ScoreTree",
    "Tree",
    "causal_attention",
    "family_of",
    "init",
    "load_config",
    "logits",
    "modules",
    "named_leaves",
    "path_name",
]
