"""Token sequences → rows of tokens that contain a shared prefix once. Independent of the model.

The options of a question share their beginning, and so do questions with the same premise. Sorted, they are the
leaves of a tree. A row contains a forest of such trees in depth-first order:

    a b c        tokens     a b c d e      a token j is seen by itself and by the later
    a b d        positions  0 1 2 2 1      tokens i of its subtree: j <= i < ends[j]
    a e          ends       5 4 3 4 5

The last token of a row is only predicted, so the model does not process it. Windows of one token more than a power of
two, as those of texts, therefore fill rows of that power.
"""

import itertools
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
      sequence: index of the sequence.
      start: index of its first scored token.
      row: index of its row.
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


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """The number of tokens with which both sequences begin."""
    same = (a == b for a, b in zip(first, second, strict=False))
    return sum(itertools.takewhile(bool, same))


def _pack(
    sequences: Sequence[Sequence[int]], members: list[int], starts: Sequence[int], width: int
) -> Forest:
    """Fills rows with sequences in sorted order, in which neighbours share their longest prefixes."""
    order = sorted(members, key=lambda s: tuple(sequences[s]))
    rows: list[np.ndarray] = []
    leaves: list[Leaf] = []
    last: list[int] = []
    path, used = np.zeros(0, np.int32), width  # no room, so the first sequence begins a row
    for s in order:
        sequence = list(sequences[s])
        shared = common_prefix(last, sequence)
        if used + len(sequence) - shared > width:
            rows.append(np.zeros((3, width), np.int32))
            rows[-1][2] = np.arange(1, width + 1)
            shared = used = 0
        tokens, positions, ends = rows[-1]
        end = used + len(sequence) - shared
        path = np.concatenate([path[:shared], np.arange(used, end, dtype=np.int32)])
        tokens[used:end] = sequence[shared:]
        positions[used:end] = np.arange(shared, len(sequence))
        ends[path] = end  # each descendant moves the ends of its ancestors
        leaves.append(Leaf(s, starts[s], len(rows) - 1, path))
        last, used = sequence, end
    tokens, positions, ends = np.stack(rows, axis=1)
    return Forest(tokens, positions, ends, leaves)
