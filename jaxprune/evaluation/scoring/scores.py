"""Scores of options: the contents of `<language>.npz`."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxprune.base.errors import InputError

Interval = tuple[float, float]


class Scored(NamedTuple):
    """The scores of a task in one language, in `<task>/<language>.npz`.

    Attributes:
      scores: [R, C] score of each option, higher is likelier; the prediction is the argmax, the lowest index of equal
        scores; -inf for an impossible option.
      labels: [R] index of the right option.
      rows: [R] number of each row in its source.
      groups: [R] number of the first row of each row's group, such as an XNLI premise; None if the task has no groups.
    """

    scores: Float[np.ndarray, "R C"]
    labels: Int[np.ndarray, " R"]
    rows: Int[np.ndarray, " R"]
    groups: Int[np.ndarray, " R"] | None = None

    @property
    def correct(self) -> Bool[np.ndarray, " R"]:
        """Whether the prediction is the label."""
        return self.scores.argmax(axis=1) == self.labels

    @property
    def clusters(self) -> Int[np.ndarray, " R"]:
        """The groups, or the rows without groups: the units that a bootstrap draws."""
        return self.rows if self.groups is None else self.groups

    @property
    def probability(self) -> Float[np.ndarray, " R"]:
        """Probability of the right option among those of its row: softmax of the row's scores at the label, float64.

        p = e^(s_label) / Σ_c e^(s_c), with the scores s of the protocol, which also determine the prediction: for
        `paper` the mean log-probability of a token, so probabilities are near 1 / C; for `lm_eval` the log-probability
        of the continuation. If all options are impossible, they are equally likely.
        """
        scores = self.scores.astype(np.float64)
        scores[(scores == -np.inf).all(axis=1)] = 0.0
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        return shares[np.arange(len(shares)), self.labels] / shares.sum(axis=1)


class Difference(NamedTuple):
    """A mean difference, its interval, and the two-sided p-value of no difference."""

    difference: float
    interval: Interval
    p: float


def check_scores(scored: Scored, where: str) -> None:
    """Rejects scores from which no figure can be computed.

    Args:
      where: language or file, for the message.

    Raises:
      InputError: no rows, or a score that is NaN or +inf; names the place and the row.
    """
    scores, _, rows = scored[:3]
    if not len(rows):
        raise InputError(f"{where}: no rows")
    bad = ~(scores < np.inf)  # NaN is not less either
    if bad.any():
        row, option = np.argwhere(bad)[0]
        raise InputError(
            f"{where}: row {rows[row]} has the score {scores[row, option]} for option {option}; "
            "expected a number (NaN and inf are signs of overflow in the model)"
        )
