"""The layers that the families are built from: linear, norms, rotary and ALiBi positions, MLPs."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxprune.models.config import ModelConfig, RopeConfig
from jaxprune.models.positions import Kind, Positions, at_positions, checked_kind
from jaxprune.models.products import product

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_new": jax.nn.gelu,
    "gelu_pytorch_tanh": jax.nn.gelu,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
}


def param(rngs: nnx.Rngs, shape: tuple[int, ...], std: float | None = None) -> nnx.Param:
    """A float32 parameter: normal with `std`, or ones (std None)."""
    if std is None:
        return nnx.Param(jnp.ones(shape))
    return nnx.Param(std * jax.random.normal(rngs.params(), shape))


class Linear(nnx.Module):
    """`x @ kernel + bias`; kernel [in, out]. Products in the kernel's dtype, sums and result in float32."""

    # an attribute, which recovery replaces by a product with other gradients
    product = staticmethod(product)

    def __init__(self, d_in: int, d_out: int, bias: bool, rngs: nnx.Rngs) -> None:
        self.kernel = param(rngs, (d_in, d_out), 0.02)
        self.bias = param(rngs, (d_out,), 0.0) if bias else None

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the kernel, and so of the products."""
        return self.kernel.dtype

    def __call__(self, x: Float[Array, "... I"]) -> Float[Array, "... O"]:
        y = self.product(x.astype(self.kernel.dtype), self.kernel[...])
        return y if self.bias is None else y + self.bias


class Embed(nnx.Module):
    """Rows of a table of tokens, scaled, in float32; families with positions in the embedding add them."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.tokens = param(rngs, (config.vocab_size, config.d_model), 0.02)
        self.config = config

    def __call__(
        self, tokens: Int[Array, "B T"], positions: Positions | None = None
    ) -> Float[Array, "B T D"]:
        x = self.tokens[...][tokens].astype(jnp.float32)
        return x if self.config.embed_scale == 1.0 else x * self.config.embed_scale


class ScaleNorm(nnx.Module):
    """Layer normalisation without a bias, in float32.

    With `heads`, x is [..., heads, features] and the scale is [heads, features].
    """

    def __init__(self, features: int, eps: float, rngs: nnx.Rngs, heads: int | None = None) -> None:
        self.scale = param(rngs, (features,) if heads is None else (heads, features))
        self.eps = eps

    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + self.eps) * self.scale


class LayerNorm(ScaleNorm):
    """Layer normalisation over the last axis, in float32."""

    def __init__(self, features: int, eps: float, rngs: nnx.Rngs) -> None:
        super().__init__(features, eps, rngs)
        self.bias = param(rngs, (features,), 0.0)

    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        return super().__call__(x) + self.bias


class RMSNorm(nnx.Module):
    """Root-mean-square normalisation over the last axis, in float32."""

    def __init__(self, features: int, eps: float, rngs: nnx.Rngs) -> None:
        self.scale = param(rngs, (features,))
        self.eps = eps

    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        return _unit_rms(x, self.eps) * self.scale


class OffsetRMSNorm(nnx.Module):
    """RMS normalisation by 1 + the stored scale, in float32, as in Gemma."""

    def __init__(self, features: int, eps: float, rngs: nnx.Rngs) -> None:
        self.scale = param(rngs, (features,), 0.0)
        self.eps = eps

    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        return _unit_rms(x, self.eps) * (1.0 + self.scale.astype(jnp.float32))


def _unit_rms(x: Float[Array, "... D"], eps: float) -> Float[Array, "... D"]:
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + eps)


class MLP(nnx.Module):
    """`out(act(up(x)))`."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.up = Linear(config.d_model, config.d_ff, config.mlp_bias, rngs)
        self.out = Linear(config.d_ff, config.d_model, config.mlp_bias, rngs)
        self.activation = ACTIVATIONS[config.activation]

    def neurons(self, x: Float[Array, "B T D"]) -> Float[Array, "B T F"]:
        """The activations of the neurons, in a gated MLP before the product with `up`."""
        return self.activation(self.up(x))

    def expand(self, x: Float[Array, "B T D"]) -> Float[Array, "B T F"]:
        """The input of `out`."""
        return self.neurons(x)


class GatedMLP(MLP):
    """`out(act(gate(x)) * up(x))`, as in Llama."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.gate = Linear(config.d_model, config.d_ff, config.mlp_bias, rngs)
        super().__init__(config, rngs)

    def neurons(self, x: Float[Array, "B T D"]) -> Float[Array, "B T F"]:
        """The activations of the neurons, before the product with `up`."""
        return self.activation(self.gate(x))

    def expand(self, x: Float[Array, "B T D"]) -> Float[Array, "B T F"]:
        """The input of `out`."""
        return self.neurons(x) * self.up(x)


def rope_frequencies(head_dim: int, rope: RopeConfig) -> np.ndarray:
    """Angular frequencies [head_dim / 2] float32: 1 / (linear_factor · θ^(2i / head_dim)).

    Long wavelengths are stretched by `factor` as in Llama 3.
    """
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    frequencies = (1.0 / np.float32(rope.theta) ** exponents).astype(np.float32)
    frequencies /= np.float32(rope.linear_factor)
    if rope.factor is None:
        return frequencies
    turns = rope.original_max_positions * frequencies / (2 * math.pi)
    low, high = rope.low_freq_factor, rope.high_freq_factor
    # 0 where the wavelength is long (stretch), 1 where it is short (leave), linear in between
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (frequencies * (smooth + (1.0 - smooth) / rope.factor)).astype(np.float32)


def rotate(
    x: Float[Array, "B T N H"],
    ropes: Sequence[RopeConfig | None],
    positions: Positions | None = None,
    kind: Kind = None,
) -> Float[Array, "B T N H"]:
    """Rotary position embedding at `positions`, by default 0…T-1.

    Args:
      x: queries or keys.
      ropes: rotary positions of each kind of layer; all pair coordinates in the same way.
      kind: the kind of this layer.
    """
    if not any(ropes):
        return x
    # Constant tables by numpy: in the graph, XLA would compute the sine for every row and head.
    count = x.shape[1] if positions is None else positions.limit
    angles = [_angles(count, x.shape[-1], rope) for rope in ropes]
    cos, sin = (
        at_positions(_select_kind([table(a)[:, None] for a in angles], kind), positions)
        for table in (np.cos, np.sin)
    )
    if any(rope is not None and rope.interleaved for rope in ropes):
        first, second = x[..., ::2], x[..., 1::2]
        turned = (first * cos - second * sin, second * cos + first * sin)
        return jnp.stack(turned, axis=-1).reshape(x.shape)
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def _angles(count: int, head_dim: int, rope: RopeConfig | None) -> np.ndarray:
    """Angles [P, H/2] float32 of the positions 0…P-1; 0 without rotation."""
    unrotated = np.zeros(head_dim // 2, np.float32)
    frequencies = unrotated if rope is None else rope_frequencies(head_dim, rope)
    return np.arange(count, dtype=np.float32)[:, None] * frequencies


def _select_kind(tables: Sequence[np.ndarray], kind: Kind) -> Array | np.ndarray:
    """The table of a layer's kind; the first one if all are equal."""
    if all(np.array_equal(table, tables[0]) for table in tables[1:]):
        return tables[0]
    return jnp.asarray(np.stack(tables))[checked_kind(kind)]


def alibi_slopes(n_heads: int) -> np.ndarray:
    """ALiBi's slope of each head [N] float32.

    If N is not a power of two, every second slope of the next power of two completes them.
    """
    power = 2 ** math.floor(math.log2(n_heads))
    slopes = [2.0 ** (-8.0 * (i + 1) / power) for i in range(power)]
    slopes += [2.0 ** (-4.0 * (i + 1) / power) for i in range(0, 2 * (n_heads - power), 2)]
    return np.asarray(slopes, np.float32)


def sinusoids(positions: int, features: int, zero_row: int | None) -> np.ndarray:
    """XGLM's position table [positions, features] float32: sines, then cosines; an odd last feature is 0."""
    half = features // 2
    rates = np.exp(np.arange(half, dtype=np.float32) * np.float32(-math.log(10000) / (half - 1)))
    angles = np.arange(positions, dtype=np.float32)[:, None] * rates
    table = np.zeros((positions, features), np.float32)
    table[:, :half], table[:, half : 2 * half] = np.sin(angles), np.cos(angles)
    if zero_row is not None and zero_row < positions:
        table[zero_row] = 0
    return table
