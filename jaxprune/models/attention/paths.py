"""A table of implementations of attention; the first that supports platform, dtype, head size and options is used."""

import dataclasses
from collections.abc import Callable

from jaxtyping import Array, Float

from jaxprune.models.attention.by_heads import by_heads
from jaxprune.models.attention.by_keys import by_keys, scores_of
from jaxprune.models.attention.fused import ALIBI_FEATURES, by_cudnn, by_splash
from jaxprune.models.attention.scoring import Scoring


@dataclasses.dataclass(frozen=True, kw_only=True)
class Path:
    """An implementation of causal attention, with windows and grouped heads.

    Attributes:
      name: name in plans and reports.
      compute: (q, k, v, prefix, scoring, window, tree) → [B, T, N, H], see `by_keys`.
      platforms, dtypes: supported platforms, and dtypes of the products; None: any.
      features: limit of a head's features, with those added for ALiBi.
      softcap: whether it supports capped scores.
      branches: whether it supports trees and prefixes.
      scores: number of heads over all rows → bytes of scores that it stores in the device's memory.
    """

    name: str
    compute: Callable[..., Float[Array, "B T N H"]]
    platforms: tuple[str, ...] | None = None
    dtypes: tuple[str, ...] | None = None
    features: float = float("inf")
    softcap: bool = True
    branches: bool = True
    scores: Callable[[int], int] = lambda heads: 0


CPU, CUDNN, SPLASH, KEYS = (
    "chunks of queries, head by head", "cuDNN flash attention", "splash attention", "chunks of keys"
)  # fmt: skip
# cuDNN's limits are those that `jax.nn.dot_product_attention` checks. A mask or a bias takes as much memory as all
# scores, so it gets neither. For the splash kernel a tree would be a mask [T, T] for each row.
PATHS = (
    Path(name=CPU, compute=by_heads, platforms=("cpu",)),
    Path(
        name=CUDNN, compute=by_cudnn, platforms=("sm90",), dtypes=("bfloat16",), features=256,
        softcap=False, branches=False,
    ),
    Path(
        name=CUDNN, compute=by_cudnn, platforms=("sm80",), dtypes=("bfloat16",), features=128,
        softcap=False, branches=False,
    ),
    Path(name=SPLASH, compute=by_splash, platforms=("tpu",), branches=False),
    Path(name=KEYS, compute=by_keys, scores=scores_of),
)  # fmt: skip


def path_for(
    platform: str, dtype: str, features: int, scoring: Scoring, *, branches: bool = False
) -> Path:
    """The path of a model's attention.

    Args:
      platform: the result of `platform`.
      dtype: dtype of the products.
      features: features of a head.
      branches: whether rows are trees or follow a prefix.
    """
    if scoring.slopes is not None:
        features += ALIBI_FEATURES
    return next(
        path
        for path in PATHS
        if (path.platforms is None or platform in path.platforms)
        and (path.dtypes is None or dtype in path.dtypes)
        and features <= path.features
        and (path.softcap or scoring.softcap is None)
        and (path.branches or not branches)
    )
