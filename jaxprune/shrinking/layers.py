"""A model and samples by language → the layers that change the hidden states least, which a smaller model drops.

The influence of a block is 1 - mean cos(input, output) over tokens (ShortGPT, arXiv 2403.03853, eq. 1). A block is as
important as in the language that it influences most.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.progress import progress_bar
from jaxprune.data.batches import Batch
from jaxprune.devices.compiled import compiled
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.model import Model
from jaxprune.hf.subset import subset
from jaxprune.stats.blocks import blocks
from jaxprune.stats.probe import SAMPLES_PER_DEVICE
from jaxprune.stats.states import calibration_states, run_and_measure
from jaxprune.stats.walk import WHOLE_BLOCK

Influence = Mapping[str, Float[np.ndarray, " L"]]


class Depth(NamedTuple):
    """The layers of a smaller model.

    Attributes:
      kept: the layers of the whole model that it has.
      dropped: the others, in the order of their choice.
      influence: influence of all layers in the whole model, by language; empty if the layers were given.
    """

    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    influence: Influence


def chosen_layers(
    model: Model,
    batches: Sequence[Batch],
    layers: int,
    *,
    one_by_one: bool,
    dtype: str = "float32",
    progress: bool = True,
) -> Depth:
    """Drops the layers of the least influence.

    Args:
      batches: samples with languages; token ids count as one language.
      layers: number of layers to keep.
      one_by_one: measure the remaining layers again after each one that is dropped.

    Raises:
      InputError: the model does not have more layers.
    """
    whole = model.config.n_layers
    if not 0 < layers < whole:
        raise InputError(f"shrink.layers: got {layers}; expected 1 to {whole - 1}, of {whole}")
    first = influence = block_influence(model, batches, dtype=dtype, progress=progress)
    kept, dropped = [*range(whole)], list[int]()
    while len(kept) > layers:
        largest = np.max([*influence.values()], axis=0)
        place = int(np.argmin(largest))
        dropped.append(kept.pop(place))
        if one_by_one and len(kept) > layers:
            remaining = subset(model, layers=tuple(kept))
            influence = block_influence(remaining, batches, dtype=dtype, progress=progress)
        else:
            influence = {code: np.delete(values, place) for code, values in influence.items()}
    return Depth(tuple(kept), tuple(dropped), first)


def block_influence(
    model: Model, batches: Sequence[Batch], *, dtype: str = "float32", progress: bool = True
) -> Influence:
    """The influence of each block by language, in one pass with one block on the devices."""
    mesh, config = device_mesh(), model.config_in(dtype)
    states = {
        code: calibration_states(model, language_batches, mesh, SAMPLES_PER_DEVICE, dtype)
        for code, language_batches in _by_language(batches).items()
    }
    influence: dict[str, list[float]] = {code: [] for code in states}
    with progress_bar("influence", config.n_layers, 0, progress) as bar:
        for layer, (_, params) in enumerate(blocks(model, dtype, mesh)):
            for code, samples in states.items():
                before = [*samples.states]
                run_and_measure(params, samples, WHOLE_BLOCK, (), config, layer)
                pairs = zip(before, samples.states, samples.contexts, strict=True)
                cosines = [np.asarray(cosine(a, b))[np.asarray(c.valid)] for a, b, c in pairs]
                mean = float(np.concatenate(cosines).mean(dtype=np.float64))
                if not math.isfinite(mean):
                    raise invalid_value(
                        f"layer {layer}: cosine of input and output", mean, "finite numbers"
                    )
                influence[code].append(1.0 - mean)
            bar.update()
    return {code: np.array(values) for code, values in influence.items()}


@compiled
def cosine(a: Float[Array, "B T D"], b: Float[Array, "B T D"]) -> Float[Array, "B T"]:
    """The cosine of each pair of states; 0 if one of them is, as the state of a pad without an embedding.

    NaN if squares overflow.
    """
    norms = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
    cosines = jnp.sum(a * b, axis=-1) / jnp.maximum(norms, jnp.finfo(norms.dtype).tiny)
    return jnp.where(jnp.isfinite(norms), cosines, jnp.nan)


def _by_language(batches: Sequence[Batch]) -> dict[str, list[Batch]]:
    """The batches with the rows of one language each."""
    rows: dict[str, list[Batch]] = {}
    for batch in batches:
        languages = np.array(batch.languages or [batch.role] * len(batch.tokens))
        for code in dict.fromkeys(languages.tolist()):
            own = languages == code
            part = Batch(batch.tokens[own], batch.valid[own], batch.role, batch.samples[own])
            if batch.counted is not None:
                part = dataclasses.replace(part, counted=batch.counted[own])
            rows.setdefault(code, []).append(part)
    return rows
