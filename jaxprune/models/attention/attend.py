"""Queries, keys and values → causal attention, by a path of the table, with the window of the layer's kind."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxprune.models.attention.paths import path_for
from jaxprune.models.attention.platform import platform
from jaxprune.models.attention.scoring import Prefix, Scoring
from jaxprune.models.positions import Kind, Tree, checked_kind
from jaxprune.models.products import cast_for_matmul


def causal_attention(
    q: Float[Array, "B T N H"],
    k: Float[Array, "B T K H"],
    v: Float[Array, "B T K H"],
    dtype: DTypeLike,
    scoring: Scoring,
    kind: Kind = None,
    tree: Tree | None = None,
    prefix: Prefix | None = None,
) -> Float[Array, "B T NH"]:
    """softmax(scale · q kᵀ + slopes · position) v over keys j ≤ i; float32 [B, T, N·H].

    Rows are left-justified, so pads follow every real query and need no mask. Both products have `dtype`
    inputs and float32 sums; fused kernels round the result to `dtype`, as the next product would. Query head n
    reads key head n // (N / K). In a `tree` a query sees only its ancestors and itself. Every query sees the
    full `prefix`. With the window w of the layer's `kind`, query i sees only positions above i - w.
    """
    B, T, N, H = q.shape
    q, k, v = (cast_for_matmul(x, dtype, scoring.rounded) for x in (q * scoring.scale, k, v))
    branches = tree is not None or prefix is not None
    path = path_for(platform(), jnp.dtype(dtype).name, H, scoring, branches=branches)

    def attention_within(window: int | None) -> Callable[..., Array]:
        return functools.partial(path.compute, scoring=scoring, window=window, tree=tree)

    S = T if prefix is None else T + prefix.size
    windows = [None if w is None or w >= S else w for w in scoring.windows]
    # A branch for each window: chunks outside a static window are not computed.
    if len({*windows}) == 1:
        out = attention_within(windows[0])(q, k, v, prefix)
    else:
        branches_of_kinds = [attention_within(window) for window in windows]
        out = jax.lax.switch(checked_kind(kind), branches_of_kinds, q, k, v, prefix)
    return out.reshape(B, T, N * H).astype(jnp.float32)
