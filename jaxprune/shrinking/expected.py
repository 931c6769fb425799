"""A model and texts by language → the tokens that the model expects in other texts of the language.

A text has few of the tokens that a language needs. After each of its tokens the model gives every token v of its
vocabulary a probability; the mean over the text, E[p(v | tokens before)], is how often v would occur in texts like this
one, also for tokens that this one lacks.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxprune.base.progress import progress_bar
from jaxprune.data.batches import Batch
from jaxprune.devices.compiled import compiled
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig
from jaxprune.models.heads import logits_of
from jaxprune.models.model import head_inputs
from jaxprune.models.trees import HeadParams
from jaxprune.shrinking.vocabulary import split
from jaxprune.stats.blocks import blocks, converted, to_device
from jaxprune.stats.probe import SAMPLES_PER_DEVICE
from jaxprune.stats.states import calibration_states, run_and_measure
from jaxprune.stats.walk import WHOLE_BLOCK

# Mean probabilities of all tokens, by language.
Shares = Mapping[str, Float[np.ndarray, " V"]]

_WINDOW = 256  # tokens of a row
_SLICE = 2048  # rows of the head's table in a product


def expected_shares(
    model: Model,
    texts: Mapping[str, Sequence[str]],
    tokens: int,
    *,
    dtype: str = "float32",
    progress: bool = True,
) -> Shares:
    """The mean probability of each token after the tokens of a text, by language; float64, of sum 1.

    Args:
      texts: texts by language.
      tokens: number of tokens of each language's texts, in windows at equal distances.
      dtype: dtype of the weights on the devices.
    """
    config = model.config_in(dtype)
    batches = {code: _windows(model, own, tokens) for code, own in texts.items()}
    states = _last_states(model, batches, dtype, progress)
    devices = device_mesh().devices.flat
    on_devices = [
        {code: jax.device_put(own, device) for code, own in states.items()} for device in devices
    ]
    # slices of one shape on one device each: no bit depends on the number of devices
    starts = range(0, config.vocab_size, _SLICE)

    def sliced(
        name: str, function: Callable[..., Array], *more: Mapping[str, np.ndarray]
    ) -> dict[str, list[np.ndarray]]:
        results: dict[str, list[Any]] = {code: [] for code in states}
        with progress_bar(name, len(starts), 0, progress, unit="slices") as bar:
            for number, start in enumerate(starts):
                ids = np.arange(start, min(start + _SLICE, config.vocab_size))
                place = number % len(devices)
                rows = converted(model.source.head_rows(ids), dtype)
                rows = jax.device_put(rows, devices[place])
                for code, own in on_devices[place].items():
                    others = (values[code] for values in more)
                    results[code].append(function(own, rows, *others, config=config))
                    if number >= len(devices):  # every device has one slice at a time
                        jax.block_until_ready(results[code][number - len(devices)])
                bar.update()
        return {code: [np.asarray(part) for part in parts] for code, parts in results.items()}

    log_totals = {
        code: np.logaddexp.reduce(np.array(parts, np.float64)).astype(np.float32)
        for code, parts in sliced("normalise", _log_sum).items()
    }
    sums = sliced("expect", _sums, log_totals)
    return {
        code: np.concatenate(parts).astype(np.float64) / len(states[code])
        for code, parts in sums.items()
    }


def _windows(model: Model, texts: Sequence[str], tokens: int) -> Batch:
    """Windows of the joined texts at equal distances, each after the tokens with which texts begin."""
    front = model.tokenizer("", verbose=False)["input_ids"]
    [ids] = split(model, ["\n".join(texts)])
    width = min(_WINDOW, model.config.max_positions or _WINDOW) - len(front)
    starts = np.arange(0, max(1, len(ids) - width + 1), width)
    count = min(len(starts), max(1, tokens // width))
    chosen = starts[np.linspace(0, len(starts) - 1, count).astype(int)]
    rows = np.array([[*front, *ids[start : start + width]] for start in chosen], np.int32)
    return Batch(rows, np.ones(rows.shape, bool), "monolingual", np.arange(count, dtype=np.int32))


def _last_states(
    model: Model, batches: Mapping[str, Batch], dtype: str, progress: bool
) -> dict[str, Float[np.ndarray, "N D"]]:
    """The inputs of the head at all tokens, by language, on the host."""
    mesh, config = device_mesh(), model.config_in(dtype)
    states = {
        code: calibration_states(model, [batch], mesh, SAMPLES_PER_DEVICE, dtype)
        for code, batch in batches.items()
    }
    with progress_bar("states", config.n_layers, 0, progress) as bar:
        for layer, (_, params) in enumerate(blocks(model, dtype, mesh)):
            for own in states.values():
                run_and_measure(params, own, WHOLE_BLOCK, (), config, layer)
            bar.update()
    norm = to_device({"norm": model.part("head/norm")}, dtype, mesh)
    normed = {
        code: own.gather([np.asarray(_normed(x, norm, config=config)) for x in own.states])
        for code, own in states.items()
    }
    return {code: h.reshape(-1, config.d_model) for code, h in normed.items()}


@functools.partial(compiled, static_argnames="config")
def _normed(
    states: Float[Array, "B T D"], norm: HeadParams, *, config: ModelConfig
) -> Float[Array, "B T D"]:
    return head_inputs(config, norm, states, states.dtype)


@functools.partial(compiled, static_argnames="config")
def _log_sum(
    h: Float[Array, "N D"], rows: Float[Array, "C D"], *, config: ModelConfig
) -> Float[Array, " N"]:
    """Log Σ exp over the tokens of a slice."""
    return jax.nn.logsumexp(logits_of(config, _products(h, rows)), axis=-1)


@functools.partial(compiled, static_argnames="config")
def _sums(
    h: Float[Array, "N D"], rows: Float[Array, "C D"], log_total: Array, *, config: ModelConfig
) -> Float[Array, " C"]:
    """Σ over positions of the probability of each token of a slice."""
    logits = logits_of(config, _products(h, rows))
    return jnp.sum(jnp.exp(logits - log_total[:, None]), axis=0)


def _products(h: Float[Array, "N D"], rows: Float[Array, "C D"]) -> Float[Array, "N C"]:
    return jnp.matmul(h, rows.T, preferred_element_type=jnp.float32)
