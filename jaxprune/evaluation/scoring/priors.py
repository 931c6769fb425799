"""Scores of options → measures that do not depend on a model's preference for an option as such."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxprune.evaluation.scoring.scores import Scored


class WithinGroups(NamedTuple):
    """Comparisons of each row with the rows of its group that have another label; NaN if there are no such rows.

    Attributes:
      preferred: share of these rows against which the contrast is positive; a contrast of 0 counts half.
      contrast: mean of the contrasts.
    """

    preferred: Float[np.ndarray, " R"]
    contrast: Float[np.ndarray, " R"]


def right_without_prior(scored: Scored) -> Bool[np.ndarray, " R"]:
    """Whether the prediction is the label after the mean score of each option over all rows is subtracted.

    A constant that a model adds to an option in every row, its prior of that option, has no effect on this (Zhou et
    al., ICLR 2024, arXiv 2309.17249, call the method batch calibration). The mean of an option is over the rows in
    which its score is not -inf. If labels are far from equally frequent, the mean is in part due to them.
    """
    scores = scored.scores.astype(np.float64)
    is_possible = scores > -np.inf
    means = np.where(is_possible, scores, 0.0).sum(axis=0) / np.maximum(is_possible.sum(axis=0), 1)
    return (scores - means).argmax(axis=1) == scored.labels


def within_groups(scored: Scored) -> WithinGroups:
    """The preference for the right option of a row over the same option in the other rows of its group.

    Rows i and j of a group have the labels a and b, which differ. With s the scores, their contrast is

        (s_i(a) - s_i(b)) - (s_j(a) - s_j(b)),

    the logarithm of the odds ratio of the two options in the two rows. Constants that a model adds to an option in
    every row, or to every option of a row, cancel. A model that does not distinguish the rows has as many positive as
    negative contrasts, so `preferred` is 1/2 by chance. Pairs with a score of -inf are omitted.

    Returns:
      A mean over the partners of each row; all NaN if the rows have no groups.
    """
    scores, labels = scored.scores.astype(np.float64), scored.labels
    partners, preferred, contrast = np.zeros((3, len(labels)))
    order = np.argsort(scored.clusters, kind="stable")
    groups = scored.clusters[order]
    for step in range(1, np.unique(groups, return_counts=True)[1].max()):
        i, j = order[:-step], order[step:]
        a, b = labels[i], labels[j]
        with np.errstate(invalid="ignore"):
            contrasts = (scores[i, a] - scores[i, b]) - (scores[j, a] - scores[j, b])
        counts = (groups[:-step] == groups[step:]) & (a != b) & np.isfinite(contrasts)
        contrasts = contrasts[counts]
        for rows in (i[counts], j[counts]):  # a row occurs once in each
            partners[rows] += 1
            preferred[rows] += np.heaviside(contrasts, 0.5)
            contrast[rows] += contrasts
    number = np.where(partners, partners, np.nan)
    return WithinGroups(preferred / number, contrast / number)


# Measures besides accuracy with a value in [0, 1] for each row, NaN if undefined; a figure is their mean over rows.
ROW_VALUES: Mapping[str, Callable[[Scored], Bool[np.ndarray, " R"] | Float[np.ndarray, " R"]]] = {
    "probability": lambda scored: scored.probability,
    "accuracy_without_prior": right_without_prior,
    "discrimination": lambda scored: within_groups(scored).preferred,
}
