"""Activation statistics: sums of squares and token counts, which merge by adding."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import jax
import numpy as np
from jaxtyping import Float

from jaxprune.errors import InputError, refusal


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ActivationStats:
    """How large each input feature of each linear layer was over the real tokens of a calibration set.

    Attributes:
      sum_sq: role → site → Σ_tokens X_j², float32 [L, D_site]. The paper's ‖X_j‖₂ (section 3) is its root.
      count: role → number of real tokens (the same at every site).
      sites: (kernel path, site) pairs: which kernel of a block reads which site.
      languages: role → language → its share of the tokens in `count`, of samples whose language is known; of a
        translation it is its source. Roles without such samples are not in it.
    """

    sum_sq: Mapping[str, Mapping[str, Float[np.ndarray, "L D"]]]
    count: Mapping[str, int]
    sites: tuple[tuple[str, str], ...] = dataclasses.field(metadata={"static": True})
    languages: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)

    @property
    def roles(self) -> tuple[str, ...]:
        """The sets that were probed, such as ("translation", "code")."""
        return tuple(self.sum_sq)

    def norms(self, role: str) -> dict[str, Float[np.ndarray, "L D"]]:
        """‖X_j‖₂ of every site, float32 [L, D_site]; KeyError names the roles there are."""
        if role not in self.sum_sq:
            raise KeyError(f"no statistics of {role!r}, only of {', '.join(self.roles)}")
        return {site: np.sqrt(sums) for site, sums in self.sum_sq[role].items()}

    def of(self, roles: Iterable[str]) -> ActivationStats:
        """Those of some roles alone, in the order given; KeyError where there is no such role."""
        roles = tuple(roles)
        sums = {role: self.sum_sq[role] for role in roles}
        count = {role: self.count[role] for role in roles}
        languages = {role: self.languages[role] for role in roles if role in self.languages}
        return ActivationStats(sums, count, self.sites, languages)

    def merge(self, other: ActivationStats) -> ActivationStats:
        """Statistics of both sets together: roles of either side are kept, sums of one role add.

        So statistics of several languages become those of one set, of which `languages` tells them apart.

        Raises:
          InputError: the two are of different models; names a kernel or site that differs.

        Example:
          >>> import jaxprune as jp
          >>> model = jp.load("jaxprune/nano/checkpoints/bloom")
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
            raise refusal("merge", other, "ActivationStats, as jaxprune.probe gives")
        _check_same(self, other)
        sums = {role: dict(sites) for role, sites in self.sum_sq.items()}
        for role, sites in other.sum_sq.items():
            before = sums.get(role)
            sums[role] = {s: sites[s] + before[s] for s in sites} if before else dict(sites)
        languages = dict(self.languages)
        for role, tokens in other.languages.items():
            languages[role] = _added(languages.get(role, {}), tokens)
        return ActivationStats(sums, _added(self.count, other.count), self.sites, languages)


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Counts of both by name."""
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _check_same(stats: ActivationStats, other: ActivationStats) -> None:
    """Refuses statistics of two models, naming the first kernel that reads another site or site of another shape."""
    ours, theirs = _facts(stats), _facts(other)
    for name in [*ours, *theirs]:
        if ours.get(name) != theirs.get(name):
            one, two = (facts.get(name, "missing") for facts in (ours, theirs))
            raise InputError(
                f"stats: {name} is {one} in the first and {two} in the second; allowed: statistics of the same model"
            )


def _facts(stats: ActivationStats) -> dict[str, object]:
    """What is the same in all statistics of a model: kernel → its site, site → shape of its sums."""
    shapes = {
        site: np.shape(sums) for by_site in stats.sum_sq.values() for site, sums in by_site.items()
    }
    return {**dict(stats.sites), **shapes}


def check_sums(sums: Float[np.ndarray, "*samples D"], layer: int, site: str, role: str) -> None:
    """Refuses sums of squares of a site that say nothing of its features.

    Raises:
      InputError: one is not finite, or all of them are 0; names layer and site.
    """
    if not np.isfinite(sums).all():
        raise not_finite(layer, site)
    if not sums.any():
        raise InputError(
            f"layer {layer}, site {site}: no activation differs from 0 on the {role} samples; the weights are 0 up to "
            "here, or so small that squares vanish in float32"
        )


def not_finite(layer: int, site: str) -> InputError:
    """The error of a site whose input overflows, or comes of what did, to be raised."""
    return InputError(
        f"layer {layer}, site {site}: an activation is not finite; the weights hold NaN or infinity up to here, "
        "or overflow float32"
    )


def sum_samples(rows: Float[np.ndarray, "N D"], samples: np.ndarray) -> Float[np.ndarray, " D"]:
    """Σ over samples in sample order, in float64, rounded once to float32.

    The order is that of `samples` [N], whatever batches and devices the rows came from, so that a set
    gives the same bits on any mesh.
    """
    ordered = rows[np.argsort(samples, kind="stable")].astype(np.float64)
    # add.reduce over axis 0 of a C array adds row after row
    return np.add.reduce(ordered, axis=0).astype(np.float32)
