"""The record that a model family declares, and the builders of its block and head."""

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
    """Weights in the tree (`…/kernel`, `…/scale`) → in a checkpoint (`….weight`), with their biases added."""
    biases = {
        f"{path.rpartition('/')[0]}/bias": f"{name.removesuffix('weight')}bias"
        for path, name in weights.items()
    }
    return {**weights, **biases}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """One model family: its config reader, its modules and its names on the Hugging Face side.

    Attributes:
      model_types: values of `model_type` in config.json.
      parse: attributes of a config.json → the config.
      embed, norm, attention, mlp: the classes of its modules. `norm` is the class of both norms of a block and of
        the head's.
      tensors: every path that a member of the family may have → the tensor's name in a checkpoint,
        without the base model's `prefix`; names in blocks contain `{i}`. The modules of a config determine
        the paths that it has.
      prefix: prefix of the base model's tensors, with its dot; exports have it.
      other_prefixes: prefixes that checkpoints may have instead.
      ignored: patterns of full names of tensors that old checkpoints contain and no model needs.
      transposed: kernels are stored [out, in].
      exported: attributes of a model's config.json → those of its export's.
      block_class: the class of its blocks.
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
    ignored: tuple[str, ...] = ()
    transposed: bool = True
    exported: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    block_class: type[Block] = Block

    def block(self, config: ModelConfig, rngs: nnx.Rngs) -> Block:
        """One decoder block with fresh parameters."""
        new_norm = functools.partial(self.new_norm, config, rngs)
        return self.block_class(self.attention(config, rngs), self.mlp(config, rngs), new_norm)

    def head(self, config: ModelConfig, rngs: nnx.Rngs) -> Head:
        """The final norm and the logits, with fresh parameters."""
        return Head(config, self.new_norm(config, rngs), rngs)

    def new_norm(self, config: ModelConfig, rngs: nnx.Rngs) -> Norm:
        """A norm of hidden states, with fresh parameters."""
        return self.norm(config.d_model, config.norm_eps, rngs)

    @functools.cached_property
    def sites(self) -> Mapping[str, str]:
        """Each prunable kernel of a block → the site that it reads; `out` reads the second site of its part."""
        first = {"attention": "qkv", "mlp": "mlp_in"}
        block_paths = [path.split("/")[1:] for path in self.tensors if path.startswith("blocks/")]
        return {
            f"{part}/{name}/kernel": f"{part}_out" if name == "out" else first[part]
            for part, name, *leaf in block_paths
            if leaf == ["kernel"]
        }
