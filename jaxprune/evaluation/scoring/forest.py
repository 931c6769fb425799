"""Token sequences → rows of tokens that contain a shared prefix once. Independent of the model.

The options of a question share their beginning, and so do questions with the same premise. Sorted, they are the
leaves of a tree. A row contains a forest of such trees in depth-first order:

    a b c        tokens     a b c d e      a token j is seen by itself and by the later
    a b d        positions  0 1 2 2 1      tokens i of its subtree: j <= i < ends[j]
    a e          ends       5 4 3 4 5

The last token of a row is only predicted, so the model does not process it. Windows of one token more than a power of
two, as those of texts, therefore fill rows of that power.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

# The shortest row. The cost of attention is quadratic in the length; a sequence in another row than its siblings
# repeats their common prefix. At this length both costs are small.
MIN_LENGTH = 256


class Leaf(NamedTuple):
    """A sequence in a forest.

    Attributes:
      sequence: its index.
      start: index of its first scored token.
      row: its row.
      path: [length] int32, the places of its tokens in the row.
    """

    sequence: int
    start: int
    row: int
    path: Int32[np.ndarray, " _"]


class Forest(NamedTuple):
    """Rows of one static length T, of which the model processes T - 1 tokens.

    Attributes:
      tokens: [R, T] int32, zeros after the last tree.
      positions: [R, T] int32, the depth of each token: its index in its sequences.
      ends: [R, T] int32, the end of the subtree of each token; a pad sees only itself.
      leaves: the sequences in these rows, in depth-first order.
    """

    tokens: Int32[np.ndarray, "R T"]
    positions: Int32[np.ndarray, "R T"]
    ends: Int32[np.ndarray, "R T"]
    leaves: list[Leaf]

    @property
    def seen(self) -> int:
        """The number of places of a row that the model processes: all but the last."""
        return self.tokens.shape[1] - 1

    def cut(self, start: int, stop: int) -> "Forest":
        """Rows start…stop-1 and their sequences."""
        tokens, positions, ends = (array[start:stop] for array in self[:3])
        inside = [leaf for leaf in self.leaves if start <= leaf.row < stop]
        leaves = [leaf._replace(row=leaf.row - start) for leaf in inside]
        return Forest(tokens, positions, ends, leaves)


def pack_forests(sequences: Sequence[Sequence[int]], starts: Sequence[int]) -> Iterator[Forest]:
    """Packs sequences into forests of few lengths `seen`: MIN_LENGTH times powers of two.

    Args:
      sequences: token ids of each, at least one.
      starts: index of the first scored token of each, at least 1, as the first token has no log-probability.
    """
    seen = np.array([len(sequence) - 1 for sequence in sequences])
    widths = MIN_LENGTH * 2 ** np.ceil(np.log2(np.maximum(seen / MIN_LENGTH, 1))).astype(int)
    for width in np.unique(widths):
        yield _pack(sequences, np.flatnonzero(widths == width).tolist(), starts, int(width) + 1)


def _pack(
    sequences: Sequence[Sequence[int]], members: list[int], starts: Sequence[int], width: int
) -> Forest:
    """Fills rows with sequences in sorted order, in which neighbours share their longest prefixes."""
    order = sorted(members, key=lambda s: tuple(sequences[s]))
    rows = [_Row(width)]
    leaves = []
    for s in order:
        if not rows[-1].fits(sequences[s]):
            rows.append(_Row(width))
        leaves.append(Leaf(s, starts[s], len(rows) - 1, rows[-1].add(sequences[s])))
    tokens, positions, ends = np.stack([row.arrays for row in rows], axis=1)
    return Forest(tokens, positions, ends, leaves)


class _Row:
    """A row during filling, with the path of its last sequence."""

    def __init__(self, width: int) -> None:
        self.arrays = np.zeros((3, width), np.int32)
        self.tokens, self.positions, self.ends = self.arrays
        self.ends[:] = np.arange(1, width + 1)
        self._last: np.ndarray = np.zeros(0, np.int32)
        self._used = 0

    def _shared(self, sequence: Sequence[int]) -> int:
        last = self.tokens[self._last]
        shorter = min(len(last), len(sequence))
        differ = np.flatnonzero(last[:shorter] != np.asarray(sequence[:shorter]))
        return int(differ[0]) if differ.size else shorter

    def fits(self, sequence: Sequence[int]) -> bool:
        return self._used + len(sequence) - self._shared(sequence) <= len(self.tokens)

    def add(self, sequence: Sequence[int]) -> np.ndarray:
        """Appends the tokens that the last sequence does not share; returns the places of all tokens."""
        shared, size = self._shared(sequence), len(sequence)
        begin, end = self._used, self._used + size - shared
        path = np.concatenate([self._last[:shared], np.arange(begin, end, dtype=np.int32)])
        self.tokens[begin:end] = sequence[shared:]
        self.positions[begin:end] = np.arange(shared, size)
        self.ends[path] = end  # each descendant moves the ends of its ancestors
        self._last, self._used = path, end
        return path
