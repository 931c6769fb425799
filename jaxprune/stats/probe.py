"""Feature magnitudes: block + batches → ActivationStats (the paper's first step, section 3.1)."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.progress import progress_bar
from jaxprune.base.schema import check, integer
from jaxprune.data.batches import Batch, SetKey, check_batches
from jaxprune.devices.sharding import given_mesh
from jaxprune.hf.model import Model, check_model
from jaxprune.models.block import SITES
from jaxprune.models.model import family_of
from jaxprune.stats.blocks import DTYPE, blocks, to_device
from jaxprune.stats.states import calibration_states, head_sums, run_and_measure
from jaxprune.stats.statistics import STATISTICS
from jaxprune.stats.stats import HEAD, ActivationStats, MeasuredOn, Sums
from jaxprune.stats.walk import HIDDEN, INPUT, OUTPUT, Segment

# Samples of a micro-batch per device. Two of 512 tokens keep a core busy; more only make the last, partly empty
# micro-batch more expensive.
SAMPLES_PER_DEVICE = 2
_COUNT = integer(SAMPLES_PER_DEVICE, 1)


def probe(
    model: Model,
    batches: Sequence[Batch],
    *,
    dtype: str = "float32",
    mesh: Mesh | None = None,
    samples_per_device: int = SAMPLES_PER_DEVICE,
    progress: bool = True,
    statistics: Sequence[str] = ("squares",),
    hidden: bool = False,
    halves: bool = False,
    neurons: bool = False,
    head: bool = False,
) -> ActivationStats:
    """Statistics of the dense model: one pass over all blocks.

    Args:
      model: the dense model, whose blocks are read one at a time.
      batches: left-justified samples; the result separates their roles and languages.
      dtype: "float32" or "bfloat16", of the weights on the device.
      mesh: devices; all by default. The bits of the result do not depend on it; for "gram" this holds for
        1, 2, 4 and 8.
      samples_per_device: samples of a micro-batch per device.
      progress: show a bar with tokens per second and remaining time.
      statistics: names of the statistics to measure at every site, [L, D] each: "squares", Σ X_j²; "sums", Σ X_j;
        "positive", the number of tokens with X_j > 0; and "gram", Σ x xᵀ, float32 [L, D, D], which is large.
      hidden: adds the site "hidden": the output of each block, [L, D]. The last one is without the model's final
        norm, unlike Hugging Face's last hidden state.
      halves: adds the roles "<role>/even" and "<role>/odd" for each role: the statistics of every second sample of
        each language with several, from the first and from the second. The statistics of the full role are unchanged.
      neurons: adds the neurons of the MLPs, for `jaxprune.language_neurons`: "positive", the number of tokens on which
        each is active, int32 [L, 20, F], and "tokens", the number of all tokens; both by 20 groups of samples.
      head: adds the site "head": the inputs of the head, the last block's outputs after the final norm, [1, D].

    Raises:
      InputError: an activation is not finite or all of a site are 0 (names layer and site); a parameter is NaN or
        infinite; a sequence is too long; `batches` is empty or of another type; a statistic is unknown, or "gram" with
        `halves` or `head`.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
      >>> stats = jp.probe(model, batches, progress=False)
      >>> stats.roles, stats.sum_sq["translation"]["qkv"].shape  # layers, features
      (('translation',), (4, 128))
      >>> stats.count == {"translation": sum(batch.num_tokens for batch in batches)}
      True
    """
    check_model(model)
    check("dtype", dtype, DTYPE)
    check_samples(batches, samples_per_device)
    if not batches:
        raise InputError("batches: none; expected at least one Batch")
    if unknown := [name for name in statistics if name not in STATISTICS]:
        raise invalid_value("statistics", unknown[0], STATISTICS)
    for name, is_set in {"halves": halves, "head": head}.items():
        if is_set and "gram" in statistics:
            raise invalid_value("statistics", "gram", f"those of a feature, with {name}")
    measured = tuple(STATISTICS[name] for name in statistics)
    mesh = given_mesh(mesh)
    states = calibration_states(model, batches, mesh, samples_per_device, dtype, measured)
    if halves:
        states.add_halves()
    config = model.config_in(dtype)
    measures = (*SITES, HIDDEN) if hidden else SITES
    segment = Segment(start=INPUT, stop=OUTPUT, measures=measures, neurons=neurons)
    layers: list[Sums] = []

    with progress_bar("probe", model.config.n_layers, int(states.tokens.sum()), progress) as bar:
        for layer, (_, params) in enumerate(blocks(model, dtype, mesh)):
            layers.append(run_and_measure(params, states, segment, measured, config, layer))
            bar.update()
    stats = stack(layers, states.counts(), model, dtype, "dense")
    if not head:
        return stats
    norm = to_device({"norm": model.part("head/norm")}, dtype, mesh)
    at_head = head_sums(norm, states, measured, config)
    sums = {key: {**sites, HEAD: at_head[key]} for key, sites in stats.sums.items()}
    return dataclasses.replace(stats, sums=sums)


def check_samples(batches: object, samples_per_device: object) -> None:
    """Rejects anything but a list of batches and an integer of at least 1."""
    check_batches(batches)
    check("samples_per_device", samples_per_device, _COUNT)


def stack(
    layers: Sequence[Sums], tokens: Mapping[SetKey, int], model: Model, dtype: str, propagate: str
) -> ActivationStats:
    """Sums of all layers as one record, [L, ...] each.

    Args:
      tokens: number of real tokens of each set.
      model, dtype, propagate: see `MeasuredOn`.
    """

    def stacked(*trees: Any) -> Any:  # keeps the order of keys, which JAX would sort
        if isinstance(trees[0], Mapping):
            return {key: stacked(*(tree[key] for tree in trees)) for key in trees[0]}
        return np.stack(trees)

    measured_on = MeasuredOn(model.source.fingerprint.digest, dtype, propagate)
    sites = tuple(family_of(model.config).sites.items())
    return ActivationStats(stacked(*layers), dict(tokens), sites, measured_on)
