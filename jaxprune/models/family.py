"""What the rest of the package may ask of a model family."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from flax import nnx

from jaxprune.models.block import Block
from jaxprune.models.config import Attributes, ModelConfig
from jaxprune.models.heads import Head


@dataclasses.dataclass(frozen=True)
class Family:
    """One model family: its config reader, its modules and its names on the Hugging Face side.

    `model_types` are what a config.json calls its members. `tensors` maps every path that a member of the family may
    have to the tensor's name in a checkpoint without the base model's `prefix`; block names hold `{i}`. Which paths a
    config really has follows from its modules. `sites` maps each pruned kernel of a block to the site that it reads.
    """

    model_types: tuple[str, ...]
    parse: Callable[[str, Attributes], ModelConfig]
    to_hf: Callable[[ModelConfig], dict[str, Any]]
    embed: Callable[[ModelConfig, nnx.Rngs], nnx.Module]
    block: Callable[[ModelConfig, nnx.Rngs], Block]
    head: Callable[[ModelConfig, nnx.Rngs], Head]
    tensors: Mapping[str, str]
    sites: Mapping[str, str]
    prefix: str  # of the base model, with its dot
    ignored: tuple[
        str, ...
    ]  # full-match patterns of tensors that old checkpoints hold and no model needs
    transposed: bool = True  # kernels are stored [out, in]
