"""Statistics of several languages → one set of statistics for each role; `jaxprune.combine`."""

import dataclasses
from collections.abc import Mapping

from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.base.errors import InputError
from jaxprune.base.schema import check, choice
from jaxprune.data.batches import SetKey, by_kind
from jaxprune.stats.combinations import COMBINATIONS, SUM
from jaxprune.stats.mixture import Mixture, Weights, weights_of
from jaxprune.stats.statistics import SQUARES
from jaxprune.stats.stats import ActivationStats

_COMBINE = choice(COMBINATIONS, SUM.name)


def mixture_of(combine: str, weights: Weights, statistics: set[str], where: str = "") -> Mixture:
    """The combination of these statistics, checked.

    Args:
      combine: a name in `COMBINATIONS`.
      weights: weights of languages; see `weights_of`.
      statistics: names of the statistics that are combined.
      where: the end of the message for a combination that they do not allow.

    Raises:
      InputError: an unknown combination, weights that do not belong to it, or one that is no weighted sum for
        statistics other than sums of squares.
    """
    check("combine", combine, _COMBINE)
    mixture = Mixture(COMBINATIONS[combine], weights_of(weights))
    if not (mixture.combination.linear or statistics <= {SQUARES.name}):
        linear = ", ".join(name for name, combination in COMBINATIONS.items() if combination.linear)
        raise InputError(f"combine: got {combine!r}; expected {linear}{where}")
    return mixture


def combine(
    stats: ActivationStats, combine: str = "sum", weights: Mapping[str, float] | str | None = None
) -> ActivationStats:
    """The statistics of all languages of a role as one set without a language.

    Pruning with `stats` and the same `combine` and `weights` uses the same statistics.

    Args:
      stats: statistics with one set for each language.
      combine: "sum": all tokens have equal weight; "mean": all languages have equal weight; "max": a feature has
        its largest mean over the tokens of a language, for sums of squares only; "weights".
      weights: weights of languages, such as {"fr": 2, "sw": 1} or "fr:2,sw:1", with combine="weights".

    Returns:
      Statistics as sums over the tokens of all languages.

    Raises:
      InputError: an unknown combination, or weights of other languages.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> batches = jp.demonstrations(model.tokenizer, "nano", source="fr,sw", samples=8)
      >>> stats = jp.probe(model, batches, progress=False)
      >>> [key.language for key in stats.sums]
      ['fr', 'sw']
      >>> mean = jp.combine(stats, "mean")
      >>> [key.language for key in mean.sums], mean.count == stats.count
      ([''], True)
    """
    flat = {key: flatten_dict(dict(sites)) for key, sites in stats.sums.items()}
    names = {name for sums in flat.values() for _, name in sums}
    mixture = mixture_of(combine, weights, names)
    merged = {}
    for role in stats.roles:
        keys = [key for key in flat if key.kind == role]
        if codes := [key.language for key in keys if key.language]:  # code has none
            mixture.check(codes)
        merged[SetKey(role)] = unflatten_dict(
            {
                path: mixture.combine(keys, [flat[key][path] for key in keys], stats.tokens)
                for path in flat[keys[0]]
            }
        )
    tokens = {SetKey(role): count for role, count in by_kind(stats.tokens).items()}
    return dataclasses.replace(stats, sums=merged, tokens=tokens)
