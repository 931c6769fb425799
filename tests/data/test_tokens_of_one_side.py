"""Statistics of the tokens of one side of translations, from the pass over all of them."""

import numpy as np
import pytest
from jobs import job

import jaxprune as jp
from jaxprune.data.batches import digest
from jaxprune.stats.grouping import share_shapes


@pytest.fixture(scope="module")
def model():
    return jp.load("nano/bloom")


def batches_of(model, **settings):
    return jp.demonstrations(model.tokenizer, "nano", source="fr,sw", samples=8, **settings)


@pytest.mark.parametrize(
    ("side", "names"), [("source", ("French", "Swahili")), ("target", ("English",))]
)
def test_the_sentences_of_one_side_are_counted(side, names, model):
    tokenizer = model.tokenizer
    for batch in batches_of(model, tokens=side, shots=2):
        for row, counted, valid in zip(batch.tokens, batch.counted, batch.valid, strict=True):
            text = tokenizer.decode(row[valid])
            parts = [part + tokenizer.eos_token for part in text.split(tokenizer.eos_token)[:-1]]
            want = parts[side == "target" :: 2]
            assert all(part.strip().startswith(names) for part in want)
            assert tokenizer.decode(row[counted]) == "".join(want)


def test_samples_that_are_cut_before_the_side_are_refused(model):
    with pytest.raises(
        jp.InputError, match="no sample has a token of the target; expected a calib"
    ):
        batches_of(model, tokens="target", max_length=4)


def test_both_sides_add_up_to_all_tokens(model):
    """Each feature's sum of squares, and the numbers of tokens, by language."""
    found = {
        side: jp.probe(model, batches_of(model, tokens=side), progress=False)
        for side in ("all", "source", "target")
    }
    for key, sites in found["all"].sums.items():
        parts = [found[side] for side in ("source", "target")]
        assert found["all"].tokens[key] == sum(part.tokens[key] for part in parts)
        for site, sums in sites.items():
            total = sum(part.sums[key][site]["squares"] for part in parts)
            np.testing.assert_allclose(total, sums["squares"], rtol=1e-6)


def test_sets_that_share_shapes_keep_their_side(model):
    batches = batches_of(model, tokens="source")
    shared = share_shapes(batches, max_shapes=1)
    assert digest(shared) == digest(batches) != digest(batches_of(model))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"calibration.kind": "monolingual"}, "tokens: got 'source'; expected all, with kind mono"),
        ({"compat": "official"}, "calibration.tokens: got 'source'; expected all, with kind trans"),
    ],
)
def test_sides_are_of_translations_alone(fields, message):
    with pytest.raises(jp.InputError, match=message):
        job("nano/bloom", calibration__tokens="source", **fields)
