"""The record of a criterion: a name, the calibration sets that it measures, and a score for every weight of a kernel.

A user's function of (kernel, norm) becomes such a record.
"""

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, Shaped

from jaxprune.base.errors import InputError
from jaxprune.stats.statistics import SQUARES, STATISTICS
from jaxprune.stats.statistics.statistic import Statistic

# The sets of samples that a criterion may compare: all samples other than code, and code.
DEMONSTRATIONS, CODE = "demonstrations", "code"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Inputs:
    """The inputs of a score or a method besides the kernel.

    Attributes:
      norms: set → ‖X_j‖₂ of the kernel's input features, float32 [in], for the sets whose squares it needs.
      path: path of the kernel in its block, such as "attention/query/kernel".
      layer: index of the block; may be traced.
      seed_key: the random key of the run's seed.
      compat: "corrected" or "official".
      stats: set → statistic → its sum over the set's tokens at the kernel's inputs, such as "gram", float32 [in, in];
        for the pairs in `Method.needs`.
      tokens: set → number of its tokens, float32 [].
      keep: bool [in, out], False at weights that a step before has dropped and a rounding leaves at 0; None if there
        are none.
    """

    norms: Mapping[str, Float[Array, "*layers in"]]
    path: str = dataclasses.field(metadata={"static": True})
    layer: int | np.integer | Array
    seed_key: Key[Array, ""]
    compat: str = dataclasses.field(metadata={"static": True})
    stats: Mapping[str, Mapping[str, Shaped[Array | np.ndarray, "*dims"]]] = dataclasses.field(
        default_factory=dict
    )
    tokens: Mapping[str, np.floating | Float[Array, ""]] = dataclasses.field(default_factory=dict)
    keep: Bool[Array | np.ndarray, "in out"] | None = None

    @property
    def key(self) -> Key[Array, ""]:
        """The random key of this kernel, which depends only on the seed, the layer and the path."""
        key = jax.random.fold_in(self.seed_key, self.layer)
        return jax.random.fold_in(key, zlib.crc32(self.path.encode()))


def key_of_seed(seed: int) -> Key[Array, ""]:
    """The random key of a 32-bit seed, equal to that of `jax.random.key` with JAX's default settings."""
    data = jax.device_put(np.array([0, seed], np.uint32))  # needs no compiled program
    return jax.random.wrap_key_data(data, impl="threefry2x32")


class Measures:
    """The sets and statistics of a criterion or method, from the (set, statistic) pairs in `needs`."""

    needs: tuple[tuple[str, str], ...]

    @property
    def sets(self) -> tuple[str, ...]:
        """The sets of samples that it measures: "demonstrations", "code" or both."""
        return tuple(dict.fromkeys(set_name for set_name, _ in self.needs))

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """The statistics that it reads."""
        return tuple(STATISTICS[name] for name in dict.fromkeys(name for _, name in self.needs))


@dataclasses.dataclass(frozen=True)
class Criterion(Measures):
    """A score for every weight of a kernel. A file in `criteria/` that declares one as `CRITERION` adds it everywhere.

    Attributes:
      name: value of `pruning.criterion`, and of the function in `jaxprune.scores`.
      meaning: description for `--help` and the page of settings.
      score: (kernel [in, out], inputs) → scores [in, out]; the lowest of a column are dropped first. Pure and
        traceable: it is compiled once and called for all kernels of all blocks.
      measures: the sets whose norms it reads: "demonstrations", "code" or both; empty without statistics.
      options: the arguments of its function in `jaxprune.scores`: "role", "compat", "seed".
      by_column: whether the scores of a column are independent of other columns. If so, devices may each score some of
        the columns; otherwise each scores all, as sums over columns must not depend on the number of devices.
      finite: whether NaN and infinity are rejected; otherwise they are ranked as in `masks.keep`.
    """

    name: str
    meaning: str
    score: Callable[[Float[Array, "in out"], Inputs], Float[Array, "in out"]]
    measures: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    by_column: bool = False
    finite: bool = True
    updates_weights: ClassVar[bool] = False
    selects: ClassVar[bool] = False

    @property
    def needs(self) -> tuple[tuple[str, str], ...]:  # type: ignore[override]
        """(set, statistic) pairs: sums of squares of the sets that it measures."""
        return tuple((set_name, SQUARES.name) for set_name in self.measures)


def kernel_scores(criterion: Criterion, kernel: Array, inputs: Inputs) -> Array:
    """The scores of one kernel, float32; InputError unless they have its shape."""
    where = f"criterion {criterion.name}: {inputs.path}"
    try:
        scores = jnp.asarray(criterion.score(kernel, inputs), jnp.float32)
    except (TypeError, ValueError, LookupError) as error:  # JAX's are among these
        reason = str(error).split("\n")[0]
        raise InputError(
            f"{where}: {reason}; expected a function that JAX can compile, as jnp.abs(kernel) * norm[:, None]"
        ) from error
    if scores.shape != kernel.shape:
        raise InputError(
            f"{where}: got scores of shape {scores.shape}; expected {kernel.shape}, [in, out]"
        )
    return scores


Function = Callable[[Float[Array, "in out"], Float[Array, " in"]], Float[Array, "in out"]]


def function_criterion(function: Function) -> Criterion:
    """The criterion whose scores are `function(kernel, norm)`.

    Args:
      function: (kernel, float32 [in, out]; norms of its inputs on the demonstrations, float32 [in]) → scores [in, out].
    """

    def score(kernel: Array, inputs: Inputs) -> Any:  # `kernel_scores` checks the result
        weights, norm = kernel.astype(jnp.float32), inputs.norms[DEMONSTRATIONS]
        scores = function(weights, norm)
        *layers, rows, columns = kernel.shape
        if rows == columns and getattr(scores, "shape", None) == kernel.shape:
            # a missing or swapped axis goes unnoticed in square kernels only
            wide = (*layers, rows, 2 * columns)
            shape = jax.eval_shape(function, jax.ShapeDtypeStruct(wide, weights.dtype), norm).shape
            if shape != wide:
                raise ValueError(f"got scores of shape {shape} for a kernel of shape {wide}")
        return scores

    name = getattr(function, "__name__", type(function).__name__)
    return Criterion(name, "a function of kernel and norm", score, measures=(DEMONSTRATIONS,))
