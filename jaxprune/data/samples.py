"""Samples of a calibration set: rows of token ids, each of its own length."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int32


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """The samples of one role; a pass groups them into batches (`stats.grouped`).

    Attributes:
      role: see `Batch`.
      sequences: int32 token ids [length] of each sample.
      languages: language of each sample, or empty; see `Batch`.
      counted: bool [length] of each sample, or empty; see `Batch`.
      max_length: limit on the length of a sample and of its padded row; None: no limit.
      vocabulary: see `Batch`.
    """

    role: str
    sequences: Sequence[Int32[np.ndarray, " _"]]
    languages: tuple[str, ...] = ()
    counted: Sequence[Bool[np.ndarray, " _"]] = ()
    max_length: int | None = None
    vocabulary: str = ""
