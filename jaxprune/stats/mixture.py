"""A combination and the weights of languages: the statistics of several sets → one statistic."""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from jaxprune.base.errors import InputError, invalid_value, shown
from jaxprune.base.files.outside import json_of_file
from jaxprune.base.schema import is_number
from jaxprune.data.batches import SetKey
from jaxprune.data.languages import LANGUAGES, numbers_by_language
from jaxprune.stats.combinations import SUM
from jaxprune.stats.combinations.combination import Combination

_WEIGHTS = "weights"
Weights = Mapping[str, float] | tuple[tuple[str, float], ...] | str | None
_ALLOWED = (
    "one weight above 0 for each language, as fr:2,sw:1, or a .json file with {language: weight}"
)


@dataclasses.dataclass(frozen=True)
class Mixture:
    """A combination of sets.

    Attributes:
      combination: a record of `COMBINATIONS`.
      weights: (language, weight) pairs, for the combination "weights" only.

    Raises:
      InputError: weights for another combination, or "weights" without weights.
    """

    combination: Combination = SUM
    weights: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        name = self.combination.name
        if (name == _WEIGHTS) != bool(self.weights):
            got = ", ".join(f"{code}:{weight:g}" for code, weight in self.weights)
            wanted = _ALLOWED if name == _WEIGHTS else "none, unless combine is weights"
            raise InputError(
                f"weights: got {got or 'none'}, with combine {name}; expected {wanted}"
            )

    def check(self, languages: Collection[str]) -> None:
        """InputError if the weights are of other languages than the samples."""
        if self.weights and {*dict(self.weights)} != {*languages}:
            got = ",".join(code for code, _ in self.weights)
            raise InputError(
                f"weights: got {got}; expected {','.join(languages) or 'none'}, the languages of the samples"
            )

    def combine(
        self,
        keys: Sequence[SetKey],
        sums: Sequence[Float[np.ndarray, "*dims"]],
        tokens: Mapping[SetKey, int],
    ) -> Float[np.ndarray, "*dims"]:
        """The statistic of all sets, from the statistic of each, as a sum over all their tokens."""
        if len(keys) == 1:
            return sums[0]
        weight_of = dict(self.weights)
        weights = np.array([weight_of.get(key.language, 1.0) for key in keys])
        counts = np.array([tokens[key] for key in keys], np.float64)
        return self.combination.combine(sums, counts, weights)

    def factors(
        self, keys: Sequence[SetKey], tokens: Mapping[SetKey, int]
    ) -> Float[np.ndarray, " sets"]:
        """The factor of each set in the combined sum; the combination is linear."""
        return self.combine(keys, [*np.eye(len(keys))], tokens)


def weights_of(value: Weights) -> tuple[tuple[str, float], ...]:
    """(language, weight) pairs from a text such as "fr:2,sw:1", a mapping, such pairs, or the path of a .json file.

    Raises:
      InputError: another form, an unknown language or a weight that is not above 0.
    """
    pairs = value
    if isinstance(value, str) and value.endswith(".json"):
        pairs = json_of_file(value, "weights")
    elif isinstance(value, str):
        try:
            pairs = numbers_by_language(value)
        except ValueError:
            raise invalid_value("weights", value, _ALLOWED) from None
    if value is None:
        return ()
    if isinstance(value, tuple):
        pairs = dict(value)
    if not isinstance(pairs, Mapping) or not pairs:
        raise invalid_value("weights", value, _ALLOWED)
    for code, weight in pairs.items():
        if code not in LANGUAGES or not (is_number(weight) and 0 < weight < math.inf):
            raise InputError(f"weights: got {shown(code)}: {shown(weight)}; expected {_ALLOWED}")
    return tuple((code, float(weight)) for code, weight in sorted(pairs.items()))
