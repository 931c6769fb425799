"""A model and its smaller one → the texts that split as before, and the differences of hidden states and logits."""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.model import Model
from jaxprune.models.heads import logits_of
from jaxprune.models.model import head_inputs
from jaxprune.shrinking.vocabulary import split
from jaxprune.stats.blocks import blocks
from jaxprune.stats.grouping import group_by_length
from jaxprune.stats.probe import SAMPLES_PER_DEVICE
from jaxprune.stats.states import calibration_states, run_and_measure
from jaxprune.stats.walk import WHOLE_BLOCK

# Texts of each language whose numbers are compared, and their tokens at most.
_TEXTS, _LONGEST = 4, 64
# Rows of the head's table in a product.
_SLICE = 8192


def compare_splits(
    model: Model, smaller: Model, tokens: np.ndarray, texts: Mapping[str, Sequence[str]]
) -> tuple[dict[str, dict[str, int]], list[list[int]]]:
    """The splits by language, and the new ids of the first texts of each that split as before.

    Args:
      tokens: [V] the old id of each token of `smaller`.
    """
    splits: dict[str, dict[str, int]] = {}
    examples: list[list[int]] = []
    old = tokens.tolist()
    for code, of_code in texts.items():
        found = {"texts": len(of_code), "same": 0, "before": 0, "after": 0}
        for ids, new in zip(split(model, of_code), split(smaller, of_code), strict=True):
            is_same = ids == [old[i] for i in new]
            found["before"] += len(ids)
            found["after"] += len(new)
            found["same"] += is_same
            if is_same and ids and found["same"] <= _TEXTS:
                examples.append(new[:_LONGEST])
        splits[code] = found
    return splits, examples


def compare_numbers(
    model: Model, smaller: Model, tokens: np.ndarray, examples: Sequence[Sequence[int]]
) -> dict[str, float]:
    """The largest differences in float32, in the memory of a block.

    Args:
      examples: texts as new ids, which split as before.
    """
    before = _last_states(model, [tokens[[*ids]] for ids in examples])
    after = _last_states(smaller, [np.asarray(ids) for ids in examples])
    inputs, own_inputs = _head_inputs(model, before), _head_inputs(smaller, after)
    largest = 0.0
    for start in range(0, len(tokens), _SLICE):
        ids = np.arange(start, min(start + _SLICE, len(tokens)))
        differences = _logits(model, inputs, tokens[ids]) - _logits(smaller, own_inputs, ids)
        largest = max(largest, float(np.abs(differences).max()))
    hidden = float(np.abs(before - after).max())
    return {"texts": len(examples), "hidden": hidden, "logits": largest}


def _last_states(model: Model, texts: Sequence[np.ndarray]) -> np.ndarray:
    """[N, D] the last block's outputs at all tokens."""
    mesh, config = device_mesh(), model.config_in("float32")
    batches = group_by_length([text.astype(np.int32) for text in texts], "tokens")
    samples = calibration_states(model, batches, mesh, SAMPLES_PER_DEVICE, "float32")
    for layer, (_, params) in enumerate(blocks(model, "float32", mesh)):
        run_and_measure(params, samples, WHOLE_BLOCK, (), config, layer)
    parts = zip(samples.states, samples.contexts, strict=True)
    return np.concatenate([np.asarray(x)[np.asarray(context.valid)] for x, context in parts])


def _head_inputs(model: Model, states: np.ndarray) -> Array:
    norm = {"norm": model.part("head/norm")}
    return head_inputs(model.config, norm, jnp.asarray(states), "float32")


def _logits(model: Model, inputs: Array, tokens: np.ndarray) -> np.ndarray:
    table = jnp.asarray(model.source.head_rows(tokens), jnp.float32)
    return np.asarray(logits_of(model.config, jnp.matmul(inputs, table.T)))
