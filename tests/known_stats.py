"""Statistics with known sums of squares."""

import numpy as np

from jaxprune.data.batches import SetKey
from jaxprune.stats.stats import ActivationStats


def stats_from_squares(sum_sq, count, sites):
    """Statistics of sets, or of roles without languages.

    Args:
      sum_sq: set → site → Σ_tokens X_j² [L, D].
      count: set → number of real tokens.
      sites: (kernel path, site) pairs.
    """
    sums, tokens = {}, {}
    for name, by_site in sum_sq.items():
        key = SetKey(name) if isinstance(name, str) else name
        sums[key] = {site: {"squares": np.asarray(a, np.float64)} for site, a in by_site.items()}
        tokens[key] = count[name]
    return ActivationStats(sums, tokens, sites)
