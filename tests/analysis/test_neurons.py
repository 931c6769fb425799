"""Language neurons: counts against hooks on torch's activations, selection and errors against plain loops."""

import itertools
import math

import jax
import numpy as np
import pytest
import torch
from conftest import tiny_torch
from small_samples import sequences
from torch_loop import blocks_of

import jaxprune as jp
from jaxprune.data.batches import SetKey
from jaxprune.stats.grouping import group_by_length
from jaxprune.stats.states import GROUPS
from jaxprune.stats.walk import NEURONS

TURNS = ("fr", "sw", "fr")


def excited(model, sample):
    """Tokens of one sample on which each neuron's activation is positive, [L, F], by hooks on the activations."""
    found = []

    def see(_, __, out):
        found.append((out[0] > 0).sum(dim=0).numpy())

    names = ("act", "act_fn", "activation_fn", "gelu_impl")
    hooks = [
        module.register_forward_hook(see)
        for block in blocks_of(model)
        for name, module in block.named_modules()
        if name.rpartition(".")[2] in names
    ]
    with torch.no_grad():
        model(torch.as_tensor(sample, dtype=torch.long)[None])
    for hook in hooks:
        hook.remove()
    return np.stack(found)


@pytest.mark.parametrize(
    "name",
    [
        "xglm-relu-unscaled", "gpt2", "gemma3", "cohere", "apertus",
    ],
)  # fmt: skip
def test_counts_are_those_of_torch_hooks(name, tiny_folder):
    """By language and group; rows have pads, and samples of the languages take turns."""
    samples = sequences(25)
    languages = [TURNS[i % 3] for i in range(25)]
    batches = group_by_length(samples, "text", languages=languages, multiple=8, max_shapes=2)
    stats = jp.probe(jp.load(tiny_folder(name)), batches, neurons=True, progress=False)
    reference = tiny_torch(name)
    for code in TURNS[:2]:
        own = [row for row, of in zip(samples, languages, strict=True) if of == code]
        counts = [excited(reference, row) for row in own]
        want = np.zeros((len(counts[0]), GROUPS, counts[0].shape[1]), int)
        tokens = np.zeros(GROUPS, int)
        for number, (row, of_row) in enumerate(zip(own, counts, strict=True)):
            want[:, number % GROUPS] += of_row
            tokens[number % GROUPS] += len(row)
        got = stats.sums[SetKey("text", code)][NEURONS]
        np.testing.assert_array_equal(got["positive"], want)
        np.testing.assert_array_equal(got["tokens"], np.broadcast_to(tokens, got["tokens"].shape))


@pytest.mark.parametrize("name", ["gemma3", "bloom"])
def test_other_statistics_keep_their_bits(name, tiny_folder):
    model = jp.load(tiny_folder(name))
    batches = group_by_length(sequences(5), "text", multiple=8, max_shapes=1)
    plain, found = (
        jp.probe(model, batches, hidden=True, halves=True, neurons=neurons, progress=False)
        for neurons in (False, True)
    )
    sums = {
        key: {site: by_name for site, by_name in sites.items() if site != NEURONS}
        for key, sites in found.sums.items()
    }
    jax.tree.map(np.testing.assert_array_equal, plain.sums, sums)
    assert [NEURONS in sites for sites in found.sums.values()] == [True, False, False]


def stats_of(counts, tokens):
    """Statistics with these counts [S, L, G, F] of tokens [S, G], of languages a, b, c, …"""
    sums, keys = {}, [SetKey("text", code) for code in "abcdefgh"[: len(counts)]]
    for key, positive, of_set in zip(keys, counts, tokens, strict=True):
        pads = GROUPS - len(of_set)
        of_groups = np.pad(of_set, (0, pads))
        sums[key] = {
            NEURONS: {
                "positive": np.pad(positive, ((0, 0), (0, pads), (0, 0))).astype(np.int32),
                "tokens": np.broadcast_to(of_groups, (len(positive), GROUPS)).astype(np.int64),
            }
        }
    return jp.ActivationStats(
        sums, {key: int(of.sum()) for key, of in zip(keys, tokens, strict=True)}, ()
    )


def random_counts(languages=3, layers=2, groups=6, neurons=50, seed=0, own=5):
    """Counts of binomials; the first `own` neurons of a layer are those of one language."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(30, 40, (languages, groups))
    shares = np.broadcast_to(
        rng.random((layers, neurons)) * 0.5, (languages, layers, neurons)
    ).copy()
    for layer, neuron in itertools.product(range(layers), range(own)):
        shares[:, layer, neuron] = 0.01
        shares[(layer + neuron) % languages, layer, neuron] = 0.9
    counts = rng.binomial(tokens[:, None, :, None], shares[:, :, None])
    return counts, tokens


def chosen_by_a_plain_loop(counts, tokens, share):
    """{(layer, neuron): languages}, the threshold and all entropies, as the paper has them."""
    languages, layers, _, neurons = counts.shape
    p = {
        (i, n, s): counts[s, i, :, n].sum() / tokens[s].sum()
        for i, n, s in itertools.product(range(layers), range(neurons), range(languages))
    }
    bar = sorted(p.values())[round(0.95 * len(p)) - 1]
    entropies, ranked = {}, []
    for i, n in itertools.product(range(layers), range(neurons)):
        mine = [p[i, n, s] for s in range(languages)]
        parts = [one / sum(mine) for one in mine] if sum(mine) else []
        entropies[i, n] = -sum(part * math.log(part) for part in parts if part > 0)
        if max(mine) > bar:
            ranked.append((entropies[i, n], i, n))
    chosen = sorted(ranked)[: round(share * layers * neurons)]
    members = {(i, n): [s for s in range(languages) if p[i, n, s] > bar] for _, i, n in chosen}
    return members, bar, entropies


@pytest.mark.parametrize(("languages", "share"), [(2, 0.01), (3, 0.05), (5, 0.5)])
def test_neurons_are_those_of_a_plain_loop(languages, share):
    counts, tokens = random_counts(languages)
    counts[..., -1] = 0  # no token excites the last neuron
    found = jp.language_neurons(stats_of(counts, tokens), share)
    members, bar, entropies = chosen_by_a_plain_loop(counts, tokens, share)
    got = {place: np.flatnonzero(found.members[place]).tolist() for place in members}
    assert got == members
    assert found.members.any(axis=-1).sum() == len(members)
    assert found.threshold == bar
    for place, entropy in entropies.items():
        assert found.entropy[place] == pytest.approx(entropy, abs=1e-12)
    for layer in range(2):
        of_layer = [of for (i, _), of in members.items() if i == layer]
        numbers = [sum(s in of for of in of_layer) for s in range(languages)]
        assert found.counts[layer].tolist() == [*numbers, len(of_layer)]
    assert found.counts[-1].tolist() == found.counts[:-1].sum(axis=0).tolist()


def test_errors_of_shares_are_those_of_a_mean():
    """With equal numbers of tokens in all groups: the deviation of the groups' shares over √groups."""
    counts, tokens = random_counts(groups=20)
    counts, tokens = np.minimum(counts, 30), np.full_like(tokens, 30)
    found = jp.language_neurons(stats_of(counts, tokens))
    want = np.moveaxis((counts / 30).std(axis=2, ddof=1) / math.sqrt(20), 0, -1)
    assert np.corrcoef(found.shares_error.ravel(), want.ravel())[0, 1] > 0.9
    assert np.square(found.shares_error).mean() == pytest.approx(np.square(want).mean(), rel=0.1)
    two = jp.language_neurons(stats_of(counts[:, :, :2], tokens[:, :2])).shares_error
    exact = np.abs(counts[:, :, 0] - counts[:, :, 1]) / 60
    np.testing.assert_allclose(two, np.moveaxis(exact, 0, -1), atol=1e-12)


def test_errors_of_counts_and_halves_select_again():
    counts, tokens = random_counts(groups=7, own=2, seed=3)

    def select(groups):
        return jp.language_neurons(stats_of(counts[:, :, groups], tokens[:, groups]), 0.05)

    found, rng = select(list(range(7))), np.random.default_rng(0)
    drawn = np.array([select(rng.permutation(7)[:3]).counts for _ in range(40)])
    variance = np.square(drawn - drawn.mean(axis=0)).mean(axis=0)
    np.testing.assert_allclose(found.counts_error, np.sqrt(variance * 3 / 4))
    assert found.counts_error.max() > 0
    halves = [select(list(range(half, 7, 2))).members for half in range(2)]
    np.testing.assert_array_equal(found.in_halves, np.add(*halves, dtype=int))
    for s in range(3):
        sets = [set(zip(*np.nonzero(half[..., s]), strict=True)) for half in halves]
        size = (len(sets[0]) + len(sets[1])) / 2
        assert found.agreement[s] == pytest.approx(len(sets[0] & sets[1]) / size)


def test_chance_finds_what_the_rule_always_chooses_and_no_real_difference():
    """Without neurons of a language the rule still chooses its share: chance explains about as many."""
    texts = jp.language_neurons(stats_of(*random_counts(groups=12, neurons=2000, own=0)), 0.01)
    assert texts.counts[-1, -1] == 40
    assert 20 <= texts.by_chance <= 80
    assert texts.agreement[-1] < 0.3
    real = jp.language_neurons(stats_of(*random_counts(groups=12, neurons=500, own=5)), 0.01)
    assert real.counts[-1, -1] == 10
    assert real.by_chance == 0
    assert real.agreement[-1] == 1
    assert not real.counts_error[-1].any()  # every half finds them


def test_sets_with_few_samples_have_no_errors():
    counts, tokens = random_counts(groups=1)
    found = jp.language_neurons(stats_of(counts, tokens))
    assert found.counts[-1, -1] == 1
    assert found.shares_error is found.counts_error is found.in_halves is found.agreement is None
    fewer = jp.language_neurons(stats_of(*random_counts(languages=3, groups=2)))
    assert fewer.counts_error is not None
    assert fewer.by_chance is None


def test_statistics_without_two_languages_are_refused(tiny_folder):
    counts, tokens = random_counts()
    with pytest.raises(jp.InputError, match=r"^stats: neurons of 'a'; expected jaxprune.probe"):
        jp.language_neurons(stats_of(counts[:1], tokens[:1]))
    batches = group_by_length(sequences(2), "text", multiple=8, max_shapes=1)
    model = jp.load(tiny_folder("bloom"))
    with pytest.raises(jp.InputError, match=r"^stats: neurons of no language;"):
        jp.language_neurons(jp.probe(model, batches, progress=False))
    with pytest.raises(jp.InputError, match=r"^share: got 0"):
        jp.language_neurons(stats_of(counts, tokens), 0)
