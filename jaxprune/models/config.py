"""The config of a causal language model, parsed from `config.json`."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike


@dataclasses.dataclass(frozen=True)
class RopeConfig:
    """Rotary positions: base `theta` and scaling of the frequencies.

    Attributes:
      theta: the base.
      factor: scales long wavelengths as in Llama 3; None: no such scaling.
      low_freq_factor, high_freq_factor, original_max_positions: bounds of these wavelengths.
      linear_factor: scales all wavelengths.
      interleaved: the two coordinates of a pair are adjacent; otherwise they are half a head apart.
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
      window: number of keys that a query sees, its own included; None: all up to its own.
      rope: rotary positions; None: queries and keys are not rotated.
    """

    window: int | None = None
    rope: RopeConfig | None = None


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Sizes and options of a causal language model, with names that do not depend on its family."""

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
    embed_scale_rounded: bool = False  # to the dtype of the weights, see `Model.config_in`
    rounded_inputs: bool = False  # of float32 products, to bfloat16, see `Model.config_in`
    position_zero_row: int | None = None  # XGLM's padding_idx: this row of the sinusoid table is 0
    attention_scale: float = 1.0  # multiplies q·k
    qkv_bias: bool = True
    out_bias: bool = True
    mlp_bias: bool = True
    qk_norm: bool = False
    residual_from_norm: bool = False  # BLOOM's apply_residual_connection_post_layernorm
    attention_softcap: float | None = None  # c: scores become c·tanh(score / c)
    logit_softcap: float | None = None  # as attention_softcap, for logits
    logit_scale: float = 1.0
    kinds: tuple[LayerKind, ...] = (LayerKind(),)
    pattern: tuple[int, ...] = (0,)  # layer i is of kinds[pattern[i % len(pattern)]]

    def with_scale(self, dtype: DTypeLike) -> "ModelConfig":
        """The config with the scale of embeddings in the dtype of the weights, if the family rounds it."""
        if not self.embed_scale_rounded:
            return self
        scale = float(np.asarray(self.embed_scale, jnp.dtype(dtype)))
        return dataclasses.replace(self, embed_scale=scale)

    def kind(self, layer: int) -> LayerKind:
        """The kind of this layer."""
        return self.kinds[self.pattern[layer % len(self.pattern)]]
