"""Intervals of a mean over two samples at once: draws of the calibration text, and groups of rows of a test.

Each draw is measured on the same rows, so draws and rows are crossed, not nested.
"""

import numpy as np
import scipy  # a submodule is imported when it is used first: scipy.stats takes a second
from jaxtyping import Float

from jaxprune.evaluation.scoring.metrics import CONFIDENCE
from jaxprune.evaluation.scoring.scores import Interval


def mixed_model(
    values: Float[np.ndarray, "D G"], confidence: float = CONFIDENCE
) -> tuple[Interval, float] | None:
    """The interval and the p-value of the mean in a mixed model with random effects of draws and of groups.

    The value of draw d on group g is m + a_d + b_g + e_dg with independent effects. With the mean squares of a two-way
    analysis of variance, the variance of the mean is (MS_draws + MS_groups - MS_rest) / DG, where an effect whose mean
    square is below MS_rest has no variance. That is the estimate by restricted maximum likelihood where no variance is
    zero. The degrees of freedom are Satterthwaite's: with few draws that differ, hardly more than D - 1.

    Returns:
      The bounds of Student's t interval, and p that the mean is 0; None for one draw or one group.
    """
    draws, groups = values.shape
    if min(draws, groups) < 2:
        return None
    mean = values.mean()
    draw_means, group_means = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    residuals = values - draw_means - group_means + mean
    freedom = np.array([draws - 1, groups - 1, (draws - 1) * (groups - 1)])
    squares = np.array(
        [
            groups * np.square(draw_means - mean).sum(),
            draws * np.square(group_means - mean).sum(),
            np.square(residuals).sum(),
        ]
    )
    ms_draws, ms_groups, ms_rest = squares / freedom
    signs = np.array([ms_draws >= ms_rest, ms_groups >= ms_rest, 0.0])
    signs[2] = 1 - signs[:2].sum()
    terms = signs * squares / freedom
    error = (terms.sum() / values.size) ** 0.5
    if error == 0:
        return (float(mean), float(mean)), float(mean == 0)
    effective = terms.sum() ** 2 / (terms**2 / freedom).sum()
    reach = scipy.special.stdtrit(effective, (1 + confidence) / 2) * error
    p = 2 * scipy.special.stdtr(effective, -abs(mean) / error)
    return (float(mean - reach), float(mean + reach)), float(p)
