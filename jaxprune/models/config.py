"""A causal language model in the project's names: what `config.json` comes to."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np

from jaxprune.devices import product_dtype


@dataclasses.dataclass(frozen=True)
class RopeConfig:
    """Rotary positions: base `theta`, and how its frequencies are stretched.

    Attributes:
      theta: the base.
      factor: what long wavelengths are stretched by as in Llama 3; None where they are not.
      low_freq_factor, high_freq_factor, original_max_positions: which wavelengths these are.
      linear_factor: what all wavelengths are stretched by.
      interleaved: the two coordinates of a pair are neighbours; else they are a half apart.
    """

    theta: float
    factor: float | None = None
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_positions: int = 8192
    linear_factor: float = 1.0
    interleaved: bool = False


@dataclasses.dataclass(frozen=True)
class LayerKind:
    """Settings of attention that differ between layers.

    Attributes:
      window: how many keys a query sees, itself and those right before it; None: all before it.
      rope: rotary positions; None where queries and keys are not turned.
    """

    window: int | None = None
    rope: RopeConfig | None = None


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Sizes and switches of one causal language model, in the project's names."""

    family: str
    vocab_size: int
    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    d_ff: int
    activation: str
    norm_eps: float
    tied_head: bool
    max_positions: int | None = None  # None: no bound (ALiBi)
    embed_scale: float = 1.0
    embed_scale_rounded: bool = False  # to the dtype of the weights, see `in_dtype`
    rounded_inputs: bool = False  # of float32 products, to bfloat16, see `in_dtype`
    position_zero_row: int | None = None  # XGLM's padding_idx: this row of the sinusoid table is 0
    attention_scale: float = 1.0  # multiplies q·k
    qkv_bias: bool = True
    out_bias: bool = True
    mlp_bias: bool = True
    qk_norm: bool = False
    residual_from_norm: bool = False  # BLOOM's apply_residual_connection_post_layernorm
    attention_softcap: float | None = None  # scores become c·tanh(score / c)
    logit_softcap: float | None = None  # and logits so
    logit_scale: float = 1.0
    kinds: tuple[LayerKind, ...] = (LayerKind(),)
    pattern: tuple[int, ...] = (0,)  # layer i is of kinds[pattern[i % len(pattern)]]

    def in_dtype(self, dtype: str) -> ModelConfig:
        """The config of the model as it is computed in `dtype`, "float32" or "bfloat16".

        What is rounded with the weights is: a family's scale of embeddings, and inputs of products where bfloat16 is
        multiplied as float32. Of several processes all must call, see `devices.product_dtype`.
        """
        scale = self.embed_scale
        if self.embed_scale_rounded:
            scale = float(np.asarray(scale, jnp.dtype(dtype)))
        rounded = product_dtype(dtype) != dtype
        return dataclasses.replace(self, embed_scale=scale, rounded_inputs=rounded)

    def kind(self, layer: int) -> LayerKind:
        """The kind of this layer."""
        return self.kinds[self.pattern[layer % len(self.pattern)]]
