"""Activation statistics of sets of samples, which merge by addition."""

import dataclasses
import functools
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import Float

from jaxprune.base.errors import InputError, check_equal, invalid_value
from jaxprune.base.text import NotebookTable, Table, count, number
from jaxprune.data.batches import SetKey, by_kind, by_language
from jaxprune.stats.mixture import Mixture
from jaxprune.stats.statistics import SQUARES

# Set → site → statistic → its sum over the set's tokens. Sums over samples are float64 [D_site], of all layers [L, …].
Sums = Mapping[SetKey, Mapping[str, Mapping[str, np.ndarray]]]

# The site of the inputs of the head, which no block has.
HEAD = "head"


class MeasuredOn(NamedTuple):
    """The model and settings with which statistics were measured.

    Attributes:
      model: the digest of the dense model.
      dtype: dtype of its weights on the devices.
      propagate: "dense", or `propagate` of the pruning that measured them.
    """

    model: str
    dtype: str
    propagate: str


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class ActivationStats(NotebookTable):
    """Sums over the real tokens of a calibration set: the sizes of the input features of each linear layer.

    Each language is a separate set. `sum_sq`, `count` and `norms` combine all languages of a role.

    Attributes:
      sums: set → site → statistic → [L, ...]; "squares" is Σ_tokens X_j², float64 [L, D_site].
      tokens: set → number of real tokens (the same at every site).
      sites: (kernel path, site) pairs: the site that each kernel of a block reads.
      measured_on: None if unknown.
    """

    sums: Sums
    tokens: Mapping[SetKey, int]
    sites: tuple[tuple[str, str], ...] = dataclasses.field(metadata={"static": True})
    measured_on: MeasuredOn | None = dataclasses.field(default=None, metadata={"static": True})

    @property
    def roles(self) -> tuple[str, ...]:
        """The kinds of sets that were probed, such as ("translation", "code")."""
        return tuple(dict.fromkeys(key.kind for key in self.sums))

    @property
    def count(self) -> dict[str, int]:
        """Role → number of real tokens."""
        return by_kind(self.tokens)

    @property
    def languages(self) -> dict[str, dict[str, int]]:
        """Role → language → number of the tokens in `count`; samples without a known language are omitted."""
        return by_language(self.tokens)

    @functools.cached_property
    def sum_sq(self) -> dict[str, dict[str, Float[np.ndarray, "L D"]]]:
        """Role → site → Σ_tokens X_j², float32 [L, D_site]. The paper's ‖X_j‖₂ (section 3) is its root."""
        by_role = {}
        for role in self.roles:
            keys = [key for key in self.sums if key.kind == role]
            by_role[role] = {
                site: combined(Mixture(), self.sums, self.tokens, keys, site, SQUARES.name)
                for site, by_name in self.sums[keys[0]].items()
                if SQUARES.name in by_name
            }
        return by_role

    def norms(self, role: str) -> dict[str, Float[np.ndarray, "L D"]]:
        """‖X_j‖₂ of every site, float32 [L, D_site].

        Raises:
          KeyError: unknown role; lists the known ones.
          InputError: the statistics have no sums of squares.
        """
        if role not in self.roles:
            raise KeyError(f"no statistics of {role!r}, only of {', '.join(self.roles)}")
        if not self.sum_sq[role]:
            raise InputError(
                "stats: no squares; expected jaxprune.probe(statistics=('squares', …))"
            )
        return {site: np.sqrt(sums) for site, sums in self.sum_sq[role].items()}

    def rms(self, role: str) -> dict[str, Float[np.ndarray, "L D"]]:
        """Root mean square over tokens of every site, float32 [L, D_site]: comparable between sets of any size."""
        root = math.sqrt(max(self.count[role], 1))
        return {site: norms / root for site, norms in self.norms(role).items()}

    def to_pandas(self) -> Any:
        """‖X_j‖₂ of every feature of each set as a pandas DataFrame.

        Returns:
          Columns: role, language (empty if unknown), site, layer, feature, norm.
        """
        import pandas  # imported late: takes half a second

        return pandas.DataFrame(
            {"role": key.kind, "language": key.language, "site": site}
            | {"layer": layer, "feature": feature, "norm": math.sqrt(square)}
            for key, sites in self.sums.items()
            for site in self.norms(key.kind)
            for (layer, feature), square in np.ndenumerate(sites[site][SQUARES.name])
        )

    def _shown(self) -> tuple[str, Iterator[Table]]:
        sets = ", ".join("/".join(filter(None, key)) for key in self.sums)
        sites = ", ".join(dict.fromkeys(site for _, site in self.sites))
        return f"{sets}; {sites}", map(self._table, self.roles)

    def _table(self, role: str) -> Table:
        rms_by_site = self.rms(role) if self.sum_sq[role] else {}
        rows = [
            [site, *map(count, rms.shape), number(np.median(rms)), number(rms.max())]
            for site, rms in rms_by_site.items()
        ]
        title = f"{role}, {count(self.count[role])} tokens: root mean square over tokens"
        return Table(title, ["site", "layers", "features", "median", "largest"], rows)

    def of(self, roles: Iterable[str]) -> "ActivationStats":
        """The statistics of the sets of some roles only, in this order."""
        keys = [key for role in roles for key in self.sums if key.kind == role]
        return dataclasses.replace(
            self,
            sums={key: self.sums[key] for key in keys},
            tokens={key: self.tokens[key] for key in keys},
        )

    @property
    def digest(self) -> str:
        """SHA-256 of all sets, their tokens and sums."""
        sha = hashlib.sha256()
        for key in sorted(self.sums):
            sha.update(f"{key} {self.tokens[key]}\n".encode())
            for path, leaf in sorted(flatten_dict(dict(self.sums[key]), sep=" ").items()):
                sha.update(f"{path} {leaf.dtype} {leaf.shape}\n".encode() + leaf.tobytes())
        return sha.hexdigest()

    def layer(self, layer: int) -> Sums:
        """The sums of one block."""
        of_blocks = {
            key: {site: sums for site, sums in sites.items() if site != HEAD}
            for key, sites in self.sums.items()
        }
        return jax.tree.map(lambda leaf: leaf[layer], of_blocks)

    def merge(self, other: "ActivationStats") -> "ActivationStats":
        """The statistics of both; sums of a set that both have are added.

        Statistics of several languages become those of one calibration set, which still separates them.

        Raises:
          InputError: the two are of different models, dtypes or propagations; names the difference.

        Examples:
          >>> import jaxprune as jp
          >>> model = jp.load("nano/bloom")
          >>> def probe(code):
          ...     batches = jp.demonstrations(model.tokenizer, "nano", source=code, samples=4)
          ...     return jp.probe(model, batches, progress=False)
          >>> both = probe("fr").merge(probe("sw"))
          >>> sorted(both.languages["translation"])
          ['fr', 'sw']
          >>> sum(both.languages["translation"].values()) == both.count["translation"]
          True
        """
        if not isinstance(other, ActivationStats):
            raise invalid_value("merge", other, "ActivationStats, as jaxprune.probe returns")
        allowed = "statistics of the same model, dtype and propagation"
        check_equal("stats", _facts(self), _facts(other), allowed)
        measured_on = None  # unless both are known
        if self.measured_on and other.measured_on:
            measured_on = self.measured_on
            check_equal("stats", measured_on._asdict(), other.measured_on._asdict(), allowed)
        sums, tokens = dict(self.sums), dict(self.tokens)
        for key, sites in other.sums.items():
            before = sums.get(key)
            if before:
                sites = {
                    site: {name: before[site][name] + total for name, total in by_name.items()}
                    for site, by_name in sites.items()
                }
            sums[key] = sites
            tokens[key] = tokens.get(key, 0) + other.tokens[key]
        return ActivationStats(sums, tokens, self.sites, measured_on)


def combined(
    mixture: Mixture,
    sums: Sums,
    tokens: Mapping[SetKey, int],
    keys: Sequence[SetKey],
    site: str,
    statistic: str,
) -> Float[np.ndarray, "*dims"]:
    """A statistic of some sets at a site as input of a method: combined, then rounded to float32."""
    arrays = [np.asarray(sums[key][site][statistic]) for key in keys]
    return mixture.combine(keys, arrays, tokens).astype(np.float32)


def _facts(stats: ActivationStats) -> dict[str, object]:
    """Properties that all statistics of a model share: kernel → its site, site → shape of its sums."""
    shapes = {
        site if name == SQUARES.name else f"{site} {name}": np.shape(total)
        for by_site in stats.sums.values()
        for site, by_name in by_site.items()
        for name, total in by_name.items()
    }
    return {**dict(stats.sites), **shapes}


def check_sums(sums: np.ndarray, layer: int, site: str, role: str, never_zero: bool) -> None:
    """Rejects sums that do not distinguish the features of a site.

    Args:
      never_zero: see `Statistic`.

    Raises:
      InputError: a sum is not finite in float32, or all are 0; names layer and site.
    """
    with np.errstate(over="ignore"):
        single = np.asarray(sums, np.float32)
    if not np.isfinite(single).all():
        raise not_finite(layer, site)
    if never_zero and not single.any():
        raise InputError(
            f"layer {layer}, site {site}: no activation differs from 0 on the {role} samples; the weights up to here "
            "are 0, or so small that squares underflow in float32"
        )


def not_finite(layer: int, site: str) -> InputError:
    """The error for a site whose input is not finite."""
    return InputError(
        f"layer {layer}, site {site}: an activation is not finite; the weights up to here contain NaN or infinity, "
        "or overflow float32"
    )


def sum_samples(
    rows: Float[np.ndarray, "N ..."], samples: np.ndarray
) -> Float[np.ndarray, "*dims"]:
    """Σ over samples in sample order, in float64.

    The order is that of `samples` [N], whatever the batches and devices of the rows, so a set has the same bits on
    any mesh. Sums of float32 values within a factor of 2^20 of each other are exact; then sums of several sets add
    up to the sum over all of their samples in any order.
    """
    ordered = rows[np.argsort(samples, kind="stable")].astype(np.float64)
    # add.reduce over axis 0 of a C array adds the rows in order
    return np.add.reduce(ordered, axis=0)
