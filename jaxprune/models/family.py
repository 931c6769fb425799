"""The record that a model family declares, and the builders of its block and head."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from flax import nnx

from jaxprune.models.attributes import Attributes
from jaxprune.models.block import Attention, Block, Norm
from jaxprune.models.config import ModelConfig
from jaxprune.models.heads import Head
from jaxprune.models.layers import MLP


def with_biases(weights: Mapping[str, str]) -> dict[str, str]:
    """Names of weights in the tree (`…/kernel`, `…/scale`) → in a checkpoint (`….weight`), with biases beside them."""
    biases = {
        f"{path.rpartition('/')[0]}/bias": f"{name.removesuffix('weight')}bias"
        for path, name in weights.items()
    }
    return {**weights, **biases}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """One model family: its config reader, its modules and its names on the Hugging Face side.

    Attributes:
      model_types: what config.json calls its members.
      parse: attributes of a config.json → the config.
      embed, norm, attention, mlp: the classes that its modules are built from. `norm` is that of both
        norms of a block and of the head's.
      tensors: every path that a member of the family may have → the tensor's name in a checkpoint,
        without the base model's `prefix`; block names hold `{i}`. Which paths a config really has
        follows from its modules.
      prefix: of the base model, with its dot; exports have it.
      other_prefixes: what checkpoints may have in its place.
      defaults: model_type → what transformers' config class gives to each attribute that `parse` reads and a
        config.json leaves out; those that the class leaves None are not in it.
      ignored: patterns that match the whole names of tensors that old checkpoints hold and no model needs.
      transposed: kernels are stored [out, in].
      exported: attributes of a model's config.json → those of an export's.
      block_class: of its blocks.
    """

    model_types: tuple[str, ...]
    parse: Callable[[str, Attributes], ModelConfig]
    embed: Callable[[ModelConfig, nnx.Rngs], nnx.Module]
    norm: Callable[[int, float, nnx.Rngs], Norm]
    attention: Callable[[ModelConfig, nnx.Rngs], Attention]
    mlp: Callable[[ModelConfig, nnx.Rngs], MLP]
    tensors: Mapping[str, str]
    prefix: str
    other_prefixes: tuple[str, ...] = ()
    defaults: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    transposed: bool = True
    exported: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    block_class: type[Block] = Block

    def block(self, config: ModelConfig, rngs: nnx.Rngs) -> Block:
        """One decoder block with fresh parameters."""
        return self.block_class(self, config, rngs)

    def head(self, config: ModelConfig, rngs: nnx.Rngs) -> Head:
        """The final norm and the logits, with fresh parameters."""
        return Head(config, self.new_norm(config, rngs), rngs)

    def new_norm(self, config: ModelConfig, rngs: nnx.Rngs) -> Norm:
        """A norm of hidden states, with fresh parameters."""
        return self.norm(config.d_model, config.norm_eps, rngs)

    @functools.cached_property
    def sites(self) -> Mapping[str, str]:
        """Each pruned kernel of a block → the site that it reads; `out` reads the second one of its part."""
        first = {"attention": "qkv", "mlp": "mlp_in"}
        of_blocks = [path.split("/")[1:] for path in self.tensors if path.startswith("blocks/")]
        return {
            f"{part}/{name}/kernel": f"{part}_out" if name == "out" else first[part]
            for part, name, *leaf in of_blocks
            if leaf == ["kernel"]
        }
