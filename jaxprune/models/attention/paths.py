"""A table of ways to compute attention; the first row that supports platform, dtype, head size and options is taken."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from jaxtyping import Array, Float

from jaxprune.models.attention.by_heads import by_heads
from jaxprune.models.attention.by_keys import by_keys, scores_of
from jaxprune.models.attention.fused import ALIBI_FEATURES, by_cudnn, by_splash
from jaxprune.models.attention.scoring import Scoring


@dataclasses.dataclass(frozen=True, kw_only=True)
class Path:
    """A way to compute causal attention, windows and grouped heads among it.

    Attributes:
      name: as plans and reports tell it.
      compute: (q, k, v, prefix, scoring, window, tree) → [B, T, N, H], see `by_keys`.
      platforms, dtypes: where it runs and what it multiplies; None: any.
      features: of a head, at most, with those by which ALiBi enters.
      softcap: whether it can cap scores.
      branches: whether it knows rows that hold trees or stand behind a prefix.
      scores: bytes of scores that it holds in the device's memory, for so many heads of all rows together.
    """

    name: str
    compute: Callable[..., Float[Array, "B T N H"]]
    platforms: tuple[str, ...] | None = None
    dtypes: tuple[str, ...] | None = None
    features: float = float("inf")
    softcap: bool = True
    branches: bool = True
    scores: Callable[[int], int] = lambda heads: 0

    def can(
        self, platform: str, dtype: str, features: int, scoring: Scoring, branches: bool
    ) -> bool:
        """True if this path supports such attention; arguments as in `path_for`."""
        if scoring.slopes is not None:
            features += ALIBI_FEATURES
        return (
            (self.platforms is None or platform in self.platforms)
            and (self.dtypes is None or dtype in self.dtypes)
            and features <= self.features
            and (self.softcap or scoring.softcap is None)
            and (self.branches or not branches)
        )


CPU, CUDNN, SPLASH, KEYS = (
    "chunks of queries, head by head", "cuDNN flash attention", "splash attention", "chunks of keys"
)  # fmt: skip
# cuDNN's limits are those that `jax.nn.dot_product_attention` checks; where a mask or a bias is given it writes as many
# numbers as there are scores, so it gets neither. The splash kernel takes a tree as a mask [T, T] for each row.
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
      platform: as `devices.platform` has it.
      dtype: of the products.
      features: of a head.
      branches: whether rows hold trees or stand behind a prefix.
    """
    return next(path for path in PATHS if path.can(platform, dtype, features, scoring, branches))
