"""config.json and parameters → a model's embedding, blocks of four sites, and head, as Flax NNX modules."""

from jaxprune.models.attention import Prefix, Scoring, capped, causal_attention
from jaxprune.models.block import SITES, Block
from jaxprune.models.config import ModelConfig
from jaxprune.models.families import FAMILIES
from jaxprune.models.heads import logits_of
from jaxprune.models.model import (
    attention_path,
    family_of,
    forward,
    init,
    kernel_shapes,
    layer_kind,
    load_config,
    modules,
    site_widths,
)
from jaxprune.models.positions import Kind, Positions, Tree, checked_kind
from jaxprune.models.products import cast_for_matmul
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
    "HeadParams",
    "Kind",
    "MaskTree",
    "ModelConfig",
    "Params",
    "Positions",
    "Prefix",
    "ScoreTree",
    "Scoring",
    "Tree",
    "attention_path",
    "capped",
    "cast_for_matmul",
    "causal_attention",
    "checked_kind",
    "family_of",
    "forward",
    "init",
    "kernel_shapes",
    "layer_kind",
    "load_config",
    "logits_of",
    "modules",
    "named_leaves",
    "path_name",
    "site_widths",
]
