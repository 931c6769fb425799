"""Counts of tokens by language → the tokens to keep."""

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from jaxprune.shrinking.config import Coverage
from jaxprune.shrinking.tokenizer_rules import Parts


def chosen_tokens(
    counts: Mapping[str, Mapping[int, float]],
    always: Iterable[int],
    parts: Parts,
    *,
    coverage: Coverage,
    tokens: int | None,
    multiple: int,
    fillers: Iterable[int],
) -> np.ndarray:
    """The ids to keep, ascending, with the tokens that they are merged from.

    Args:
      counts: how often the texts of each language contain each token, or how often they are expected to.
      always: ids that are always kept.
      parts: token → its parts, see `tokenizer_rules.parts_of`.
      coverage: the least share of the tokens of each language that are kept.
      tokens: number of tokens to keep instead; the most frequent ones by their largest share in a language.
      multiple: the number of tokens is rounded up to a multiple of it, with the next tokens in the same order.
      fillers: ids that fill up in the end, the first ones first.
    """
    kept: set[int] = set()

    def add(token: int, limit: float = math.inf) -> None:
        """Adds a token with its parts, unless there would be more than `limit` ids."""
        new = set[int]() if token in kept else parts(token) - kept
        if len(kept) + len(new) <= limit:
            kept.update(new)

    for token in always if tokens is not None else (*always, *_covering(counts, coverage)):
        add(token)
    limit = -(-max(tokens or 0, len(kept)) // multiple) * multiple
    more = (*_by_largest_share(counts), *fillers) if len(kept) < limit else ()
    for token in more:
        if len(kept) == limit:
            break
        add(token, limit)
    return np.array(sorted(kept))


def _by_largest_share(counts: Mapping[str, Mapping[int, float]]) -> list[int]:
    share: dict[int, float] = {}
    for count in counts.values():
        total = sum(count.values())
        for token, number in count.items():
            share[token] = max(share.get(token, 0.0), number / total)
    return sorted(share, key=lambda token: (-share[token], token))


def _covering(counts: Mapping[str, Mapping[int, float]], coverage: Coverage) -> Iterator[int]:
    """The most frequent tokens of each language, until their share of its texts reaches the coverage."""
    for code, count in counts.items():
        share = coverage[code] if isinstance(coverage, Mapping) else coverage
        need, covered = share * sum(count.values()), 0.0
        for token, number in sorted(count.items(), key=lambda item: (-item[1], item[0])):
            if covered >= need:
                break
            covered += number
            yield token
