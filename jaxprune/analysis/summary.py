"""Numbers of an analysis by layer → overlaps of its sets, and the means and totals of analysis.json."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxprune.analysis.neurons import LanguageNeurons
from jaxprune.analysis.overlap import Overlap, by_kind, halves_by_kind, overlaps, with_halves
from jaxprune.stats.states import HALVES
from jaxprune.stats.stats import ActivationStats


def compare_sets(
    stats: ActivationStats, share: float, halves: ActivationStats | None = None
) -> dict[str, Overlap]:
    """Site → overlaps of all sets of `stats`, in the order of its roles, and of their `halves` if given."""
    norms = [stats.norms(role) for role in stats.roles]
    by_site = {site: overlaps(np.stack([n[site] for n in norms]), share) for site in norms[0]}
    if halves is None or not halves.roles:
        return by_site
    half_norms = [[halves.norms(role + half) for half in HALVES] for role in stats.roles]
    return {
        site: with_halves(
            overlap, np.array([[n[site] for n in pair] for pair in half_norms]), share
        )
        for site, overlap in by_site.items()
    }


def analysis_summary(
    stats: ActivationStats, overlaps: Mapping[str, Overlap], neurons: LanguageNeurons | None
) -> dict[str, Any]:
    """Means over layers and pairs of sets; numbers of language neurons."""
    kinds = [role.partition("/")[0] for role in stats.roles]

    def means(by_layer: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {name: round(float(shares.mean()), 6) for name, shares in by_layer.items()}

    summary: dict[str, Any] = {
        "tokens": dict(stats.count),
        "overlap": {
            site: {
                "features": overlap.features,
                "chance": overlap.chance,
                "top_in_top": means(by_kind(overlap.top, kinds)),
                "top_in_bottom": means(by_kind(overlap.bottom, kinds)),
                "halves": {
                    "top_in_top": means(halves_by_kind(overlap.halves_top, kinds)),
                    "top_in_bottom": means(halves_by_kind(overlap.halves_bottom, kinds)),
                },
            }
            for site, overlap in overlaps.items()
        },
    }
    if neurons is not None:
        summary["language_neurons"] = neurons_summary(neurons)
    return summary


def neurons_summary(neurons: LanguageNeurons) -> dict[str, Any]:
    """Numbers over all layers, by language and of any, with their standard errors and agreement of halves."""

    def at(array: np.ndarray | None, place: int) -> float | None:
        if array is None or math.isnan(array[place]):
            return None
        return round(float(array[place]), 6)

    errors = None if neurons.counts_error is None else neurons.counts_error[-1]
    return {
        "of": neurons.entropy.size,
        "threshold": neurons.threshold,
        "by_chance": neurons.by_chance,
        "languages": {
            code: {
                "neurons": int(neurons.counts[-1, place]),
                "standard_error": at(errors, place),
                "agreement_of_halves": at(neurons.agreement, place),
            }
            for place, code in enumerate([*neurons.languages, "any"])
        },
    }
