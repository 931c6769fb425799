"""Feature magnitudes: block + batches → ActivationStats (the paper's first step, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Bool, Shaped

from jaxprune.calibration import Batch, check_batches, check_ids, cut_pads
from jaxprune.devices import given_mesh, hosts
from jaxprune.errors import InputError
from jaxprune.hf import Model, check_model
from jaxprune.models import SITES, BlockParams, ModelConfig, family_of, layer_kind
from jaxprune.passes.blocks import DTYPE, blocks, to_device
from jaxprune.passes.stats import ActivationStats, check_sums, not_finite, sum_samples
from jaxprune.passes.walk import (
    HIDDEN,
    INPUT,
    OUTPUT,
    Context,
    MicroBatches,
    Segment,
    embed,
    overflows,
    run_segment,
)
from jaxprune.progress import progress_bar
from jaxprune.schema import check, integer

# Samples that one device takes at a time. Two of 512 tokens fill a core's products; more would only
# make the last, half-empty micro-batch dearer.
SAMPLES_PER_DEVICE = 2
_COUNT = integer(SAMPLES_PER_DEVICE, 1)

# What the role of half a set ends in: its samples 0, 2, …, and 1, 3, …
HALVES = ("/even", "/odd")

SiteSums = dict[str, dict[str, np.ndarray]]  # role → site → Σ X², float32 [D]


def probe(
    model: Model,
    batches: Sequence[Batch],
    *,
    dtype: str = "float32",
    mesh: Mesh | None = None,
    samples_per_device: int = SAMPLES_PER_DEVICE,
    progress: bool = True,
    hidden: bool = False,
    halves: bool = False,
) -> ActivationStats:
    """Statistics of the dense model: one pass over all blocks.

    Args:
      model: its blocks are read one at a time.
      batches: left-justified samples; their roles stay apart in the result.
      dtype: "float32" or "bfloat16", of the weights on the device.
      mesh: devices; all by default. The bits of the result do not depend on it.
      samples_per_device: how many a device takes at a time.
      progress: show a bar with tokens a second and time left.
      hidden: one more site, "hidden": the output of each block, [L, D]. The last one is without the
        model's final norm, which Hugging Face's last hidden state has.
      halves: of each role with samples of even and of odd numbers, two more roles: "<role>/even" and
        "<role>/odd", the statistics of these alone. Those of the whole role do not change by a bit.

    Raises:
      InputError: an activation is not finite or all of a site are 0 (names layer and site); a parameter holds NaN or
        infinity; a sequence is too long; there is no batch, or what is none.

    Example:
      >>> import jaxprune as jp
      >>> model = jp.load("jaxprune/nano/checkpoints/bloom")
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
        raise InputError("batches: none; allowed: at least one Batch")
    mesh = given_mesh(mesh)
    states = calibration_states(model, batches, mesh, samples_per_device, dtype)
    if halves:
        states.sets |= states.halves()
    counts = {role: int(states.tokens[members].sum()) for role, members in states.sets.items()}
    config = model.config.in_dtype(dtype)
    segment = Segment(start=INPUT, stop=OUTPUT, collect=True, advance=True, hidden=hidden)
    layers: list[SiteSums] = []

    with progress_bar("probe", model.config.n_layers, int(states.tokens.sum()), progress) as bar:
        for layer, (_, params) in enumerate(blocks(model, dtype, mesh)):
            layers.append(run_and_measure(params, states, segment, config, layer))
            bar.update()
    return stack(layers, counts, model.config, states.language_counts())


def check_samples(batches: object, samples_per_device: object) -> None:
    """Refuses what is no list of batches, and a number of samples that no device can take at a time."""
    check_batches(batches)
    check("samples_per_device", samples_per_device, _COUNT)


class CalibrationStates(MicroBatches):
    """The hidden states of a calibration set in micro-batches, of which this process holds its share.

    Attributes:
      roles: of all samples of all processes, in the order of `gather`.
      samples: their numbers within their role.
      tokens: how many real ones each has.
      languages: the code of each one's language; empty where it has none.
      sets: role → which samples its sums are over, [N]; a sample may be in several.
    """

    def __init__(self, batches: Sequence[Batch], mesh: Mesh, samples_per_device: int) -> None:
        super().__init__(mesh, samples_per_device)
        self.roles = np.repeat([b.role for b in batches], [len(b.samples) for b in batches])
        self.samples = np.concatenate([batch.samples for batch in batches])
        self.tokens = np.concatenate([batch.valid.sum(axis=1) for batch in batches])
        self.languages = np.concatenate([b.languages or [""] * len(b.samples) for b in batches])
        self.sets = {str(role): self.roles == role for role in dict.fromkeys(self.roles)}
        shares = _shares(batches, samples_per_device)
        self._counts = [sum(end - begin for _, begin, end in share) for share in shares]
        if not all(self._counts):
            raise InputError(
                f"calibration.samples: {len(self.samples)} samples are too few for {len(shares)} "
                f"processes; allowed: at least {samples_per_device} for each"
            )
        self._real: list[
            tuple[int, int]
        ] = []  # micro-batches and, in them, rows that are no filling
        local = shares[jax.process_index()]
        for number in sorted({number for number, _, _ in local}):
            units = [unit for unit in local if unit[0] == number]
            batch, part = batches[number], slice(units[0][1], units[-1][2])
            count = self.add(batch.tokens[part], Context(batch.valid[part]))
            self._real.append((count, units[-1][2] - units[0][1]))

    def halves(self) -> dict[str, Bool[np.ndarray, " N"]]:
        """The samples of even and of odd numbers of each role that has both, as `sets` of their own."""
        odd = self.samples % 2 == 1
        return {
            role + half: members & part
            for role, members in self.sets.items()
            if (members & odd).any() and (members & ~odd).any()
            for half, part in zip(HALVES, (~odd, odd), strict=True)
        }

    def language_counts(self) -> dict[str, dict[str, int]]:
        """Real tokens by role of `sets` and language, of the samples that have one."""
        counts = {}
        for role, members in self.sets.items():
            codes = dict.fromkeys(str(code) for code in self.languages[members] if code)
            if codes:
                of_code = {code: members & (self.languages == code) for code in codes}
                counts[role] = {c: int(self.tokens[some].sum()) for c, some in of_code.items()}
        return counts

    def gather(self, results: Sequence[Shaped[np.ndarray, "b ..."]]) -> Shaped[np.ndarray, "N ..."]:
        """The results of each micro-batch, for all samples of all processes, without rows that fill up."""
        rows, place = [], 0
        for count, real in self._real:
            rows.append(np.concatenate(results[place : place + count])[:real])
            place += count
        return hosts.gather(np.concatenate(rows), self._counts)


def _shares(batches: Sequence[Batch], samples_per_device: int) -> list[list[tuple[int, int, int]]]:
    """For each process (batch, first row, end): rows that share a device's micro-batch stay together.

    So no bit depends on which process has them.
    """
    units = [
        (number, begin, min(begin + samples_per_device, len(batch.tokens)))
        for number, batch in enumerate(batches)
        for begin in range(0, len(batch.tokens), samples_per_device)
    ]
    costs = np.array([batches[number].tokens.shape[1] for number, _, _ in units])
    return [[units[i] for i in share] for share in hosts.shares(costs)]


def calibration_states(
    model: Model, batches: Sequence[Batch], mesh: Mesh, samples_per_device: int, dtype: str
) -> CalibrationStates:
    """A calibration set as the first block's input, reading only the embeddings that occur.

    Raises:
      InputError: token ids beyond the vocabulary, samples longer than the model's positions, too few for all processes.
    """
    check_ids(batches, model.config.vocab_size)
    if (positions := model.config.max_positions) is not None:
        batches = [cut_pads(batch, positions) for batch in batches]
        longest = max(batch.tokens.shape[1] for batch in batches)
        if longest > positions:
            raise InputError(f"samples of {longest} tokens: the model has {positions} positions")
    states = CalibrationStates(batches, mesh, samples_per_device)
    tokens = np.concatenate([part.ravel() for part in states.states])
    table, indices = model.source.embed_rows(tokens)
    cuts = np.cumsum([part.size for part in states.states])[:-1]
    shapes = [part.shape for part in states.states]
    states.states = [x.reshape(s) for x, s in zip(np.split(indices, cuts), shapes, strict=True)]
    embed(model.config.in_dtype(dtype), to_device(table, "float32", mesh), states)
    return states


def run_and_measure(
    params: BlockParams,
    states: CalibrationStates,
    segment: Segment,
    config: ModelConfig,
    layer: int,
) -> SiteSums:
    """Runs one segment of a block over a calibration set; sums of squares by role and site, in sample order.

    Raises:
      InputError: a sum is not finite, or all of a site are 0; names layer and site.
    """
    kind = layer_kind(config, layer)

    def step(state: Any, context: Context) -> tuple[Any, Any]:
        enters = segment.collect and segment.start == INPUT
        too_large = overflows(state, context.valid, mesh=states.mesh) if enters else False
        state, sums = run_segment(
            (params, kind), state, context, config=config, mesh=states.mesh, segment=segment
        )
        return state, (sums, too_large)

    results, too_large = zip(*states.run(step), strict=True)
    if np.any(np.concatenate([np.atleast_1d(rows) for rows in too_large])):
        raise not_finite(layer, SITES[0])
    sums: SiteSums = {role: {} for role in states.sets}
    for site in (s for s in (*SITES, HIDDEN) if s in results[0]):  # as data meets them
        by_sample = states.gather([result[site] for result in results])
        for role, by_site in sums.items():
            members = states.sets[role]
            total = sum_samples(by_sample[members], states.samples[members])
            check_sums(total, layer, site, role)
            by_site[site] = total
    return sums


def stack(
    layers: Sequence[SiteSums],
    count: Mapping[str, int],
    config: ModelConfig,
    languages: Mapping[str, Mapping[str, int]],
) -> ActivationStats:
    """Sums of all layers as one record, [L, D_site] a site; counts as `ActivationStats` has them."""
    sums = {
        role: {site: np.stack([layer[role][site] for layer in layers]) for site in layers[0][role]}
        for role in layers[0]
    }
    return ActivationStats(sums, dict(count), tuple(family_of(config).sites.items()), languages)
