"""Language neurons, which few languages excite (LAPE: Tang et al., "Language-Specific Neurons", ACL 2024).

Pure numpy, independent of the model. Layers L, neurons of a layer F, languages S, groups of samples G.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxprune.analysis.overlap import TOP
from jaxprune.base.errors import InputError
from jaxprune.base.schema import check
from jaxprune.stats.statistics import POSITIVE
from jaxprune.stats.stats import ActivationStats
from jaxprune.stats.walk import NEURONS

SHARE = dataclasses.replace(
    TOP,
    default=0.01,
    meaning="share of all neurons that are language neurons, those of lowest entropy (LAPE)",
)

_ACTIVE = 0.95  # a neuron is active in a language if its share exceeds that of this share of all
_DRAWS = 40  # random halves of the groups of samples, for standard errors


@dataclasses.dataclass(frozen=True)
class LanguageNeurons:
    """The language neurons of a model, with their stability.

    Standard errors are None if a language has fewer than two samples. They are those of a delete-half jackknife (Shao
    and Wu 1989): the neurons are selected again from 40 random halves of up to 20 groups of samples, which are the same
    in all languages.

    Attributes:
      languages: codes [S].
      shares: [L, F, S] p, the share of a language's tokens on which the activation of a neuron is positive.
      shares_error: [L, F, S] standard errors of `shares`.
      entropy: [L, F] entropy of `shares` normalised over languages, in nats; 0 if only one language excites the neuron.
      threshold: the neurons with a larger share are active in a language: the 95th percentile of `shares`.
      members: [L, F, S] whether a neuron is a language neuron of a language.
      counts: [L + 1, S + 1] the number of language neurons; last row: of all layers; last column: of any language. A
        neuron may belong to several languages.
      counts_error: [L + 1, S + 1] standard errors of `counts`.
      in_halves: [L, F, S] number of the two halves of the samples in which, used alone, a neuron is a language neuron
        of the language; None if a language has fewer than two samples.
      agreement: [S + 1] the share of the language neurons of one half that the other half has, by language and of any.
        It is a lower bound: the full set has twice as many samples. NaN if neither half has any.
      by_chance: the number of neurons that pass the same entropy and threshold in sets that do not differ in language,
        but contain every language equally, and as many samples as a language; None with fewer groups than languages.
    """

    languages: tuple[str, ...]
    shares: Float[np.ndarray, "L F S"]
    shares_error: Float[np.ndarray, "L F S"] | None
    entropy: Float[np.ndarray, "L F"]
    threshold: float
    members: Bool[np.ndarray, "L F S"]
    counts: Int[np.ndarray, "layers languages"]
    counts_error: Float[np.ndarray, "layers languages"] | None
    in_halves: Int[np.ndarray, "L F S"] | None
    agreement: Float[np.ndarray, " languages"] | None
    by_chance: int | None


def language_neurons(stats: ActivationStats, share: float = SHARE.default) -> LanguageNeurons:
    """The neurons that few languages excite: LAPE of Tang et al., ACL 2024.

    A neuron is excited by a token if its activation is positive, in a gated MLP that of the gate. Neurons that are
    active in no language are omitted. The remaining neurons whose shares of tokens have the lowest entropy over the
    languages are language neurons; their number is `share` times the number of all neurons. A language neuron belongs
    to every language in which it is active.

    Args:
      stats: the result of `jaxprune.probe(neurons=True)`, with a language for every sample. Sets of one
        language are added up.
      share: share of language neurons among all neurons of the model.

    Raises:
      InputError: not 0 < share <= 1; statistics without neurons, or of fewer than two languages.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> texts = jp.demonstrations(model.tokenizer, "nano", kind="monolingual", source="fr,sw", samples=8)
      >>> neurons = jp.language_neurons(jp.probe(model, texts, neurons=True, progress=False))
      >>> neurons.languages, int(neurons.counts[-1, -1]), neurons.entropy.size
      (('fr', 'sw'), 20, 2048)
    """
    check("share", share, SHARE)
    languages, counts, tokens = _by_language(stats)
    shares = counts.sum(axis=0) / tokens.sum(axis=0)
    members = _members(shares, share)
    neurons = LanguageNeurons(
        languages, shares, None, _entropy(shares), _threshold(shares), members, _totals(members),
        None, None, None, None,
    )  # fmt: skip
    groups = tokens.all(axis=1)  # with samples of every language
    if np.count_nonzero(groups) < 2:
        return neurons
    return _with_errors(neurons, counts[groups], tokens[groups], share)


def _with_errors(
    neurons: LanguageNeurons,
    counts: Int[np.ndarray, "G L F S"],
    tokens: Int[np.ndarray, "G S"],
    share: float,
) -> LanguageNeurons:
    """The neurons with their standard errors and measures of stability."""
    rng, drawn, squares = np.random.default_rng(0), [], np.zeros(neurons.shares.shape)
    size = len(tokens) // 2
    for _ in range(_DRAWS):
        kept = rng.permutation(len(tokens))[:size]
        half_shares = counts[kept].sum(axis=0) / tokens[kept].sum(axis=0)
        squares += np.square(half_shares - neurons.shares)
        drawn.append(_totals(_members(half_shares, share)))
    scale = math.sqrt(size / (len(tokens) - size))
    first, second = (
        _members(counts[half::2].sum(axis=0) / tokens[half::2].sum(axis=0), share)
        for half in range(2)
    )
    with np.errstate(invalid="ignore"):
        agreement = 2 * _totals(first & second)[-1] / (_totals(first) + _totals(second))[-1]
    by_chance = None
    if len(tokens) >= len(neurons.languages):
        mixed = _mixed(counts, tokens)
        cutoff = neurons.entropy[neurons.members.any(axis=-1)].max(initial=-1)
        passing = (_entropy(mixed) <= cutoff) & (mixed > neurons.threshold).any(axis=-1)
        by_chance = int(passing.sum())
    return dataclasses.replace(
        neurons,
        shares_error=scale * np.sqrt(squares / _DRAWS),
        counts_error=scale * np.std(drawn, axis=0),
        in_halves=first.astype(int) + second,
        agreement=agreement,
        by_chance=by_chance,
    )


def _by_language(
    stats: ActivationStats,
) -> tuple[tuple[str, ...], Int[np.ndarray, "G L F S"], Int[np.ndarray, "G S"]]:
    """The languages; by group of samples, the number of tokens that excite each neuron, and of all tokens."""
    sets = {key: sums[NEURONS] for key, sums in stats.sums.items() if NEURONS in sums}
    languages = tuple(dict.fromkeys(key.language for key in sets))
    if len(languages) < 2 or "" in languages:
        raise InputError(
            f"stats: neurons of {', '.join(map(repr, languages)) or 'no language'}; "
            "expected jaxprune.probe(neurons=True) of two languages or more"
        )

    def added(name: str) -> np.ndarray:
        by_language = [
            sum(np.asarray(sums[name]) for key, sums in sets.items() if key.language == code)
            for code in languages
        ]
        return np.moveaxis(np.stack(by_language, axis=-1), 1, 0)

    return languages, added(POSITIVE.name), added("tokens")[:, 0]


def _entropy(shares: Float[np.ndarray, "L F S"]) -> Float[np.ndarray, "L F"]:
    """The entropy of the shares normalised over languages, in nats; 0 for a neuron that no token excites."""
    total = shares.sum(axis=-1, keepdims=True)
    parts = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
    logs = np.log(parts, out=np.zeros_like(shares), where=parts > 0)
    return np.abs((parts * logs).sum(axis=-1))


def _threshold(shares: Float[np.ndarray, "L F S"]) -> float:
    place = max(round(shares.size * _ACTIVE) - 1, 0)
    return float(np.partition(shares.ravel(), place)[place])


def _members(shares: Float[np.ndarray, "L F S"], share: float) -> Bool[np.ndarray, "L F S"]:
    """The language neurons of each language; ties in entropy to the lower layer and index."""
    active = shares > _threshold(shares)
    entropy = np.where(active.any(axis=-1), _entropy(shares), np.inf).ravel()
    chosen = np.zeros(entropy.size, bool)
    chosen[np.argsort(entropy, kind="stable")[: round(share * entropy.size)]] = True
    return active & chosen.reshape(active.shape[:-1])[..., None]


def _totals(members: Bool[np.ndarray, "L F S"]) -> Int[np.ndarray, "layers languages"]:
    """Numbers of language neurons by layer and language, and of all layers and of any language."""
    any_language = members.any(axis=-1, keepdims=True)
    by_layer = np.concatenate([members, any_language], axis=-1).sum(axis=1)
    return np.concatenate([by_layer, by_layer.sum(axis=0, keepdims=True)])


def _mixed(
    counts: Int[np.ndarray, "G L F S"], tokens: Int[np.ndarray, "G S"]
) -> Float[np.ndarray, "L F S"]:
    """Shares in S sets that take a different 1/S of the groups from each language.

    If languages have parallel texts, each of these sets contains every text once, as each language does.
    """
    size = len(tokens.T)
    group, language = np.indices(tokens.shape)
    shares = []
    for place in range(size):
        in_set = (group + language) % size == place
        excited = np.einsum("glfs,gs->lf", counts, in_set)
        shares.append(excited / tokens[in_set].sum())
    return np.stack(shares, axis=-1)
