"""The decoder block that all families share: four sites, one definition for every kind of pass."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jaxprune.models.attention import causal_attention
from jaxprune.models.config import ModelConfig
from jaxprune.models.layers import MLP, GatedMLP, LayerNorm, Linear, RMSNorm
from jaxprune.models.positions import Positions, Tree

# The inputs of a block's linear layers, in the order in which data meets them.
SITES = ("qkv", "attention_out", "mlp_in", "mlp_out")


class Attention(nnx.Module):
    """Queries, keys, values and the attention between them; `out` is the layer that follows."""

    config: ModelConfig
    out: Linear

    def heads(
        self, x: Float[Array, "B T D"], positions: Positions | None = None
    ) -> tuple[Float[Array, "B T N H"], Float[Array, "B T K H"], Float[Array, "B T K H"]]:
        """Queries, keys and values at `positions`, by default 0…T-1."""
        raise NotImplementedError

    @property
    def slopes(self) -> np.ndarray | None:
        """ALiBi's slope of each head [N], or None."""
        return None

    def attend(self, x: Float[Array, "B T D"], tree: Tree | None = None) -> Float[Array, "B T NH"]:
        """The input of `out`."""
        q, k, v = self.heads(x, None if tree is None else tree.positions)
        scale, dtype = self.config.attention_scale, self.out.dtype
        return causal_attention(q, k, v, scale, dtype, self.slopes, tree)


class Block(nnx.Module):
    """Norm, attention, add; norm, MLP, add.

    Written as steps from site to site, because pruning stops between them: `enter` gives the input of
    the first site, `leave` applies the kernels of a site and gives the input of the next one. What
    passes between two steps is always (residual [B, T, D], site input [B, T, ·]).
    """

    def __init__(
        self,
        attention_norm: LayerNorm | RMSNorm,
        attention: Attention,
        mlp_norm: LayerNorm | RMSNorm,
        mlp: MLP | GatedMLP,
        residual_from_norm: bool = False,
    ) -> None:
        self.attention_norm = attention_norm
        self.attention = attention
        self.mlp_norm = mlp_norm
        self.mlp = mlp
        self.residual_from_norm = residual_from_norm

    def enter(self, x: Float[Array, "B T D"]) -> tuple[Array, Array]:
        """(residual, input of "qkv")."""
        return self._normed(self.attention_norm, x)

    def leave(
        self, site: str, residual: Array, u: Array, tree: Tree | None = None
    ) -> tuple[Array, Array]:
        """(residual, input of the next site); after the last site, the block's output twice.

        Rows are one sequence each, or hold a `tree`.
        """
        match site:
            case "qkv":
                return residual, self.attention.attend(u, tree)
            case "attention_out":
                return self._normed(self.mlp_norm, residual + self.attention.out(u))
            case "mlp_in":
                return residual, self.mlp.expand(u)
            case "mlp_out":
                out = residual + self.mlp.out(u)
                return out, out
        raise ValueError(f"no site {site!r}, only {SITES}")

    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        """The block's output."""
        residual, u = self.enter(x)
        for site in SITES:
            residual, u = self.leave(site, residual, u)
        return residual

    def _normed(self, norm: LayerNorm | RMSNorm, x: Array) -> tuple[Array, Array]:
        normed = norm(x)
        return (normed if self.residual_from_norm else x), normed


def project_heads(linear: Linear, x: Array, head_dim: int) -> Float[Array, "B T N H"]:
    """A linear layer whose outputs are heads of `head_dim`."""
    y = linear(x)
    return jnp.reshape(y, (*y.shape[:2], -1, head_dim))
