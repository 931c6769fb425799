"""The decoder block that all families share: four sites, one definition for every kind of pass."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jaxprune.models.attention.attend import causal_attention
from jaxprune.models.attention.scoring import Scoring
from jaxprune.models.config import ModelConfig
from jaxprune.models.layers import MLP, Linear, OffsetRMSNorm, RMSNorm, ScaleNorm
from jaxprune.models.positions import Kind, Positions, Tree
from jaxprune.models.products import cast_for_matmul

# The inputs of a block's linear layers, in the order of the data flow.
SITES = ("qkv", "attention_out", "mlp_in", "mlp_out")

Norm = ScaleNorm | RMSNorm | OffsetRMSNorm


class Attention(nnx.Module):
    """Queries, keys, values and attention; `out` is the linear layer after it."""

    config: ModelConfig
    out: Linear

    def heads(
        self, x: Float[Array, "B T D"], positions: Positions | None = None, kind: Kind = None
    ) -> tuple[Float[Array, "B T N H"], Float[Array, "B T K H"], Float[Array, "B T K H"]]:
        """Queries, keys and values at `positions`, by default 0…T-1, in a layer of a `kind`."""
        raise NotImplementedError

    @property
    def slopes(self) -> np.ndarray | None:
        """ALiBi's slope of each head [N], or None."""
        return None

    @property
    def scoring(self) -> Scoring:
        """Settings of the scores of keys."""
        config = self.config
        return Scoring(
            scale=config.attention_scale,
            slopes=self.slopes,
            softcap=config.attention_softcap,
            windows=tuple(kind.window for kind in config.kinds),
            rounded=config.rounded_inputs,
        )

    def cast_for_matmul(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """`x` as input of products of this block."""
        return cast_for_matmul(x, self.out.dtype, self.config.rounded_inputs)

    def attend(
        self, x: Float[Array, "B T D"], tree: Tree | None = None, kind: Kind = None
    ) -> Float[Array, "B T NH"]:
        """The input of `out`."""
        q, k, v = self.heads(x, None if tree is None else tree.positions, kind)
        return causal_attention(q, k, v, self.out.dtype, self.scoring, kind, tree)


class Block(nnx.Module):
    """Norm, attention, add; norm, MLP, add.

    Pruning stops between sites, so a block consists of steps: `enter` returns the input of the first site, `leave`
    applies the kernels of a site and returns the input of the next one. The state between two steps is always
    (residual [B, T, D], site input [B, T, ·]), the input in the dtype of the products.

    Args:
      new_norm: makes a norm of hidden states.
    """

    def __init__(self, attention: Attention, mlp: MLP, new_norm: Callable[[], Norm]) -> None:
        self.attention_norm, self.attention = new_norm(), attention
        self.mlp_norm, self.mlp = new_norm(), mlp

    def enter(self, x: Float[Array, "B T D"]) -> tuple[Array, Array]:
        """(residual, input of "qkv")."""
        return self._cast(*self._normed(self.attention_norm, x))

    def leave(
        self, site: str, residual: Array, u: Array, tree: Tree | None = None, kind: Kind = None
    ) -> tuple[Array, Array]:
        """(residual, input of the next site); after the last site, the block's output twice.

        Rows are one sequence each, or a `tree`.
        """
        match site:
            case "qkv":
                return self._cast(residual, self.attention.attend(u, tree, kind))
            case "attention_out":
                return self._cast(*self.enter_mlp(residual, self.attention.out(u)))
            case "mlp_in":
                return self._cast(residual, self.mlp.expand(u))
            case "mlp_out":
                out = self.add_mlp(residual, self.mlp.out(u))
                return out, out
        raise ValueError(f"no site {site!r}, only {SITES}")

    def __call__(self, x: Float[Array, "B T D"], kind: Kind = None) -> Float[Array, "B T D"]:
        """The block's output."""
        residual, u = self.enter(x)
        for site in SITES:
            residual, u = self.leave(site, residual, u, kind=kind)
        return residual

    def enter_mlp(self, residual: Array, attended: Array) -> tuple[Array, Array]:
        """(residual, input of "mlp_in"), from the output of attention."""
        return self._normed(self.mlp_norm, residual + attended)

    def add_mlp(self, residual: Array, y: Array) -> Array:
        """The block's output, from the output of the MLP."""
        return residual + y

    def _cast(self, residual: Array, u: Array) -> tuple[Array, Array]:
        return residual, self.attention.cast_for_matmul(u)

    def _normed(self, norm: Norm, x: Array) -> tuple[Array, Array]:
        normed = norm(x)
        return (normed if self.attention.config.residual_from_norm else x), normed


class SandwichBlock(Block):
    """A block that also norms the outputs of attention and MLP, as in Gemma 2 and 3."""

    def __init__(self, attention: Attention, mlp: MLP, new_norm: Callable[[], Norm]) -> None:
        super().__init__(attention, mlp, new_norm)
        self.attention_post_norm, self.mlp_post_norm = new_norm(), new_norm()

    def enter_mlp(self, residual: Array, attended: Array) -> tuple[Array, Array]:
        """(residual, input of "mlp_in"), from the normed output of attention."""
        return super().enter_mlp(residual, self.attention_post_norm(attended))

    def add_mlp(self, residual: Array, y: Array) -> Array:
        """The block's output, from the normed output of the MLP."""
        return super().add_mlp(residual, self.mlp_post_norm(y))


class ParallelBlock(Block):
    """A block with attention and MLP in parallel after one norm, as in Cohere's models.

    "mlp_in" is the same input as "qkv", so both have the same statistics.
    """

    def __init__(self, attention: Attention, mlp: MLP, new_norm: Callable[[], Norm]) -> None:
        self.attention_norm, self.attention, self.mlp = new_norm(), attention, mlp

    def enter_mlp(self, residual: Array, attended: Array) -> tuple[Array, Array]:
        """(residual, input of "mlp_in"): `residual` is the block's input."""
        return residual + attended, self.attention_norm(residual)


def project_heads(linear: Linear, x: Array, head_dim: int) -> Float[Array, "B T N H"]:
    """A linear layer whose outputs are heads of `head_dim`."""
    y = linear(x)
    return jnp.reshape(y, (*y.shape[:2], -1, head_dim))
