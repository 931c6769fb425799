"""The record of a criterion: a name, the calibration sets that it measures, and a score for every weight of a kernel.

Users may give a function of (kernel, norm) in its place.
"""

from __future__ import annotations

import dataclasses
import inspect
import zlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxprune.errors import InputError, refusal
from jaxprune.passes import SQUARES, STATISTICS, Statistic

# The sets of samples that a criterion may compare: whatever the calibration set holds besides code, and code.
DEMONSTRATIONS, CODE = "demonstrations", "code"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Inputs:
    """The values besides the kernel that a score or a method may depend on.

    Attributes:
      norms: set → ‖X_j‖₂ of the features that the kernel reads, float32 [in], of the sets in `Criterion.measures`.
      path: of the kernel in its block, such as "attention/query/kernel".
      layer: index of the block; may be traced.
      seed_key: of the run's seed.
      compat: "corrected" or "official".
      stats: set → statistic → its sum over the set's tokens at the kernel's inputs, such as "gram", float32 [in, in];
        of those in `Method.needs`.
    """

    norms: Mapping[str, Float[Array, "*layers in"]]
    path: str = dataclasses.field(metadata={"static": True})
    layer: int | np.integer | Array
    seed_key: Key[Array, ""]
    compat: str = dataclasses.field(metadata={"static": True})
    stats: Mapping[str, Mapping[str, Float[Array, "*dims"]]] = dataclasses.field(
        default_factory=dict
    )

    @property
    def key(self) -> Key[Array, ""]:
        """A random key of this kernel's own: it depends on nothing but the seed, the layer and the path."""
        key = jax.random.fold_in(self.seed_key, self.layer)
        return jax.random.fold_in(key, zlib.crc32(self.path.encode()))


def key_of_seed(seed: int) -> Key[Array, ""]:
    """The random key of a seed of 32 bits, as `jax.random.key` makes it where no setting of JAX was changed."""
    data = jax.device_put(np.array([0, seed], np.uint32))  # without a program
    return jax.random.wrap_key_data(data, impl="threefry2x32")


class Measures:
    """The sets and statistics that a criterion or method measures, from the (set, statistic) pairs that it `needs`."""

    needs: tuple[tuple[str, str], ...]

    @property
    def sets(self) -> tuple[str, ...]:
        """The sets of samples that it measures, of "demonstrations" and "code"."""
        return tuple(dict.fromkeys(one for one, _ in self.needs))

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """The statistics that it reads."""
        return tuple(STATISTICS[name] for name in dict.fromkeys(name for _, name in self.needs))


@dataclasses.dataclass(frozen=True)
class Criterion(Measures):
    """A way to score weights. A file in `criteria/` that declares one as `CRITERION` adds it everywhere.

    Attributes:
      name: value of `pruning.criterion`, and of the function in `jaxprune.scores`.
      meaning: in words, for `--help` and the page of settings.
      score: (kernel [in, out], inputs) → scores [in, out]; the lowest of a column go first. Pure, fit for jit: it is
        compiled once and called for all kernels of all blocks.
      measures: the sets whose norms it reads, of "demonstrations" and "code"; none for a criterion without statistics.
      options: which of "role", "compat" and "seed" its function in `jaxprune.scores` takes.
      by_column: whether the scores of a column depend on no other column. Then devices may share the columns of a
        kernel out; otherwise each scores all of it, as sums over columns must not depend on the number of devices.
      finite: whether NaN and infinity are rejected; otherwise they are ranked as in `masks.keep`.

    Raises:
      InputError: a set to measure that is none, or a score that cannot be called.
    """

    name: str
    meaning: str
    score: Callable[[Float[Array, "in out"], Inputs], Float[Array, "in out"]]
    measures: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    by_column: bool = False
    finite: bool = True
    updates_weights: ClassVar[bool] = False

    @property
    def needs(self) -> tuple[tuple[str, str], ...]:  # type: ignore[override]
        """(set, statistic) pairs: sums of squares of the sets that it measures."""
        return tuple((one, SQUARES.name) for one in self.measures)

    def __post_init__(self) -> None:
        if not callable(self.score):
            raise refusal("score", self.score, "a function of (kernel, inputs)")
        sets = (DEMONSTRATIONS, CODE)
        if not isinstance(self.measures, tuple) or any(one not in sets for one in self.measures):
            raise refusal(
                "measures", self.measures, f"a tuple of some of {DEMONSTRATIONS!r}, {CODE!r}"
            )


Function = Callable[[Float[Array, "in out"], Float[Array, " in"]], Float[Array, "in out"]]


def of_function(function: Function) -> Criterion:
    """The criterion whose scores are `function(kernel, norm)`.

    Args:
      function: from a kernel, float32 [in, out], and the norms of its inputs on the demonstrations, float32 [in], to
        scores [in, out].

    Raises:
      InputError: it takes other arguments.
    """
    name = getattr(function, "__name__", type(function).__name__)
    try:
        signature = inspect.signature(function)
        signature.bind(None, None)
    except ValueError:  # some that are not written in Python have no signature
        pass
    except TypeError:
        raise InputError(
            f"criterion: {name} takes {signature}; allowed: a function of (kernel, norm)"
        ) from None

    def score(kernel: Array, inputs: Inputs) -> Any:  # `kernel_scores` checks the result
        given, norm = kernel.astype(jnp.float32), inputs.norms[DEMONSTRATIONS]
        scores = function(given, norm)
        *layers, rows, columns = kernel.shape
        if rows == columns and getattr(scores, "shape", None) == kernel.shape:
            # an axis that is missing or exchanged fits square kernels alone
            wide = (*layers, rows, 2 * columns)
            found = jax.eval_shape(function, jax.ShapeDtypeStruct(wide, given.dtype), norm).shape
            if found != wide:
                raise ValueError(f"got scores of shape {found} of a kernel of shape {wide}")
        return scores

    return Criterion(name, "a function of kernel and norm", score, measures=(DEMONSTRATIONS,))
