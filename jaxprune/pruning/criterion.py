"""What a criterion is: a name, the calibration sets that it measures, and a score for every weight of a kernel."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Mapping

import jax
from jaxtyping import Array, Float, Key

# The sets of samples that a criterion may compare: whatever the calibration set holds besides code, and code.
DEMONSTRATIONS, CODE = "demonstrations", "code"


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a score may depend on besides the kernel.

    Attributes:
      norms: set → ‖X_j‖₂ of the features that the kernel reads, float32 [in], of the sets in `Criterion.measures`.
      path: of the kernel in its block, such as "attention/query/kernel".
      layer: index of the block; may be traced.
      seed: static.
      compat: "corrected" or "official".
    """

    norms: Mapping[str, Float[Array, "*layers in"]]
    path: str
    layer: int | Array
    seed: int
    compat: str

    @property
    def key(self) -> Key[Array, ""]:
        """A random key of this kernel's own: it depends on nothing but the seed, the layer and the path."""
        # The implementation is spelled out: jax_default_prng_impl must not change the masks.
        offset: int = jax.config.values["jax_random_seed_offset"]  # which JAX adds to every seed
        key = jax.random.fold_in(
            jax.random.key(self.seed - offset, impl="threefry2x32"), self.layer
        )
        return jax.random.fold_in(key, zlib.crc32(self.path.encode()))


@dataclasses.dataclass(frozen=True)
class Criterion:
    """A way to score weights. A file in `criteria/` that declares one as `CRITERION` adds it everywhere.

    Attributes:
      name: value of `pruning.criterion`, and of the function in `jaxprune.scores`.
      meaning: in words, for `--help` and the README.
      score: (kernel [in, out], inputs) → float32 [in, out]; the lowest of a column go first. Pure, fit for jit.
      measures: the sets whose norms it reads; none for a criterion without statistics.
      options: which of "role", "compat" and "seed" its function in `jaxprune.scores` takes.
    """

    name: str
    meaning: str
    score: Callable[[Float[Array, "in out"], Inputs], Float[Array, "in out"]]
    measures: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
