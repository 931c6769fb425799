"""A calibration set's hidden states → statistics of its sets, one segment of a block at a time."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, Shaped

from jaxprune.base.errors import InputError
from jaxprune.data.batches import Batch, SetKey, by_kind, check_ids, cut_pads
from jaxprune.devices import hosts
from jaxprune.devices.sharding import compiled_by_rows
from jaxprune.hf.model import Model
from jaxprune.models.block import SITES
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import head_inputs, layer_kind
from jaxprune.models.trees import BlockParams, HeadParams
from jaxprune.stats.blocks import to_device
from jaxprune.stats.micro_batches import Context, MicroBatches
from jaxprune.stats.mixture import Mixture
from jaxprune.stats.running import has_running, lanes_of, sum_lanes, zero_buffers
from jaxprune.stats.statistics import POSITIVE
from jaxprune.stats.statistics.statistic import SAMPLES, Statistic
from jaxprune.stats.stats import Sums, check_sums, not_finite, sum_samples
from jaxprune.stats.walk import INPUT, NEURONS, Segment, embed, overflows, run_segment

# Suffixes of the kinds of half sets, which have each set's samples 0, 2, … and 1, 3, ….
HALVES = ("/even", "/odd")

# Groups of samples in each set's counts at NEURONS, for standard errors: an even number, so that groups with even
# numbers contain the samples of an even half.
GROUPS = 20


class CalibrationStates(MicroBatches):
    """The hidden states of this process's share of a calibration set, in micro-batches.

    Args:
      running: whether contexts have a `place` for running sums.
      mixture: combines the running sums of all languages of a kind while they are added; None keeps sets separate.
      shared: whether each process has a share; otherwise every process has all samples, and measures nothing.

    Attributes:
      keys: the set of each sample of all processes, in the order of `gather`.
      samples: number of each sample within its kind.
      tokens: number of measured tokens of each sample.
      sets: set → bool [N], the samples of the set; a sample may be in several sets.
      partition: disjoint sets that contain all samples.
      running: the sets of running sums: the partition, or one set for each kind, without a language.
    """

    def __init__(
        self,
        batches: Sequence[Batch],
        mesh: Mesh,
        samples_per_device: int,
        running: bool = False,
        mixture: Mixture | None = None,
        shared: bool = True,
    ) -> None:
        super().__init__(mesh, samples_per_device)
        self.keys = [
            SetKey(batch.role, code)
            for batch in batches
            for code in batch.languages or [""] * len(batch.tokens)
        ]
        self.samples = np.concatenate([batch.samples for batch in batches])
        self.tokens = np.concatenate([batch.measured.sum(axis=1) for batch in batches])
        self.partition = tuple(dict.fromkeys(self.keys))
        numbers = np.array([self.partition.index(key) for key in self.keys])
        self.sets = {key: numbers == number for number, key in enumerate(self.partition)}
        self.running, places, factors = self.partition, numbers, np.ones(len(numbers), np.float32)
        if running and mixture is not None:
            self.running, places, factors = self._mixed(mixture, numbers)
        process, processes = (jax.process_index(), jax.process_count()) if shared else (0, 1)
        shares = _shares(batches, samples_per_device, processes)
        self._counts = [sum(end - begin for _, begin, end in share) for share in shares]
        if not all(self._counts):
            raise InputError(
                f"calibration.samples: {len(self.samples)} samples are too few for {len(shares)} "
                f"processes; expected at least {samples_per_device} for each"
            )
        self._is_real: list[np.ndarray] = []  # False at rows that pad a micro-batch
        firsts = np.cumsum([0, *(len(batch.tokens) for batch in batches)])
        local = shares[process]
        for number in sorted({number for number, _, _ in local}):
            units = [unit for unit in local if unit[0] == number]
            batch, part = batches[number], slice(units[0][1], units[-1][2])
            context, rows = Context(batch.measured[part]), np.arange(part.stop - part.start)
            if running:
                lanes = rows // self.step % lanes_of(mesh.size)
                own_rows = slice(firsts[number] + part.start, firsts[number] + part.stop)
                place = np.stack([places[own_rows], lanes], axis=1).astype(np.int32)
                context = context._replace(place=(place, factors[own_rows]))
            self.add(batch.tokens[part], context)
            self._is_real += self.cut(np.ones(len(rows), bool))

    def _mixed(
        self, mixture: Mixture, numbers: np.ndarray
    ) -> tuple[tuple[SetKey, ...], np.ndarray, np.ndarray]:
        """One set for each kind; the number of that set and the factor of the language, for each sample."""
        sets, counts = tuple(SetKey(kind) for kind in by_kind(self.counts())), self.counts()
        factors = np.zeros(len(self.partition), np.float32)
        for kind, _ in sets:
            members = [n for n, key in enumerate(self.partition) if key.kind == kind]
            factors[members] = mixture.factors([self.partition[n] for n in members], counts)
        kinds = np.array([sets.index(SetKey(key.kind)) for key in self.partition])
        return sets, kinds[numbers], factors[numbers]

    def counts(self) -> dict[SetKey, int]:
        """Real tokens of each set."""
        return {key: int(self.tokens[members].sum()) for key, members in self.sets.items()}

    def add_halves(self) -> None:
        """Adds, for each set of several samples, a set of its samples 0, 2, … and one of 1, 3, …."""
        for key, members in [*self.sets.items()]:
            if members.sum() > 1:
                odd = members.copy()
                odd[members] = self.ranks(members) % 2 == 1
                for half, part in zip(HALVES, (members & ~odd, odd), strict=True):
                    self.sets[SetKey(key.kind + half, key.language)] = part

    def ranks(self, members: Bool[np.ndarray, " N"]) -> Int[np.ndarray, " n"]:
        """The ranks of a set's samples among them, by number."""
        return np.argsort(np.argsort(self.samples[members]))

    def gather(self, results: Sequence[Shaped[np.ndarray, "b ..."]]) -> Shaped[np.ndarray, "N ..."]:
        """The results of all micro-batches, for all samples of all processes, without padding rows."""
        is_real = np.concatenate(self._is_real)
        return hosts.gather(np.concatenate(results)[is_real], self._counts)


def _shares(
    batches: Sequence[Batch], samples_per_device: int, processes: int
) -> list[list[tuple[int, int, int]]]:
    """The units of each process, as (batch, first row, end).

    Rows that share a device's micro-batch are in the same process, so no bit depends on the number of processes.
    """
    units = [
        (number, begin, min(begin + samples_per_device, len(batch.tokens)))
        for number, batch in enumerate(batches)
        for begin in range(0, len(batch.tokens), samples_per_device)
    ]
    costs = np.array([batches[number].tokens.shape[1] for number, _, _ in units])
    return [[units[i] for i in share] for share in hosts.shares(costs, processes)]


def calibration_states(
    model: Model,
    batches: Sequence[Batch],
    mesh: Mesh,
    samples_per_device: int,
    dtype: str,
    statistics: Sequence[Statistic] = (),
    mixture: Mixture | None = None,
    shared: bool = True,
) -> CalibrationStates:
    """A calibration set as input of the first block; reads only the embeddings of tokens that occur.

    Args:
      statistics: the statistics to measure.
      mixture, shared: see `CalibrationStates`.

    Raises:
      InputError: token ids beyond the vocabulary, samples longer than the model's positions, fewer samples than the
        processes need.
    """
    check_ids(batches, model.config.vocab_size)
    if (positions := model.config.max_positions) is not None:
        batches = [cut_pads(batch, positions) for batch in batches]
        longest = max(batch.tokens.shape[1] for batch in batches)
        if longest > positions:
            raise InputError(f"samples of {longest} tokens: the model has {positions} positions")
    states = CalibrationStates(
        batches, mesh, samples_per_device, has_running(statistics), mixture, shared
    )
    tokens = np.concatenate([part.ravel() for part in states.states])
    table, indices = model.source.embed_rows(tokens)
    cuts = np.cumsum([part.size for part in states.states])[:-1]
    shapes = [part.shape for part in states.states]
    states.states = [x.reshape(s) for x, s in zip(np.split(indices, cuts), shapes, strict=True)]
    embed(model.config_in(dtype), to_device(table, "float32", mesh), states)
    return states


def run_and_measure(
    params: BlockParams,
    states: CalibrationStates,
    segment: Segment,
    statistics: Sequence[Statistic],
    config: ModelConfig,
    layer: int,
) -> Sums:
    """Runs one segment of a block over a calibration set; returns its statistics by set and site.

    At NEURONS these are the number of tokens with a positive activation, int32 [GROUPS, F], and "tokens", the number of
    all tokens, int64 [GROUPS], by group of samples; half sets have none.

    Raises:
      InputError: a sum is not finite, or all of a site are 0; names layer and site.
    """
    kind, mesh = layer_kind(config, layer), states.mesh
    buffers = zero_buffers(statistics, segment.measures, len(states.running), config, mesh)
    results: list[Any] = []

    def step(state: Any, context: Context) -> tuple[Any, Any]:
        nonlocal buffers
        is_input = segment.start == INPUT and bool(segment.measures)
        too_large = overflows(state, context.valid, mesh=mesh) if is_input else False
        state, (values, buffers) = run_segment(
            (params, kind), state, context, buffers,
            config=config, mesh=mesh, segment=segment, statistics=tuple(statistics),
        )  # fmt: skip
        return state, (values, too_large)

    states.run(step, results.append)
    if np.any(np.concatenate([np.atleast_1d(rows) for _, rows in results])):
        raise not_finite(layer, SITES[0])
    sums: dict[SetKey, dict[str, dict[str, np.ndarray]]] = {key: {} for key in states.sets}
    for site in segment.measures:  # in the order of the data flow
        for statistic in statistics:
            if statistic.reduction == SAMPLES:
                rows = states.gather([values[site][statistic.name] for values, _ in results])
                totals = {
                    key: sum_samples(rows[members], states.samples[members])
                    for key, members in states.sets.items()
                }
            else:
                by_set = sum_lanes(buffers[site].pop(statistic.name))  # frees it
                totals = dict(zip(states.running, by_set, strict=True))
            for key, total in totals.items():
                check_sums(total, layer, site, key.kind, statistic.never_zero)
                sums.setdefault(key, {}).setdefault(site, {})[statistic.name] = total
    if segment.neurons:
        rows = states.gather([values[NEURONS][POSITIVE.name] for values, _ in results])
        for key in states.partition:
            sums[key][NEURONS] = _by_group(states, states.sets[key], rows)
    return sums


def head_sums(
    norm: HeadParams,
    states: CalibrationStates,
    statistics: Sequence[Statistic],
    config: ModelConfig,
) -> dict[SetKey, dict[str, np.ndarray]]:
    """Statistics of the inputs of the head, [1, ...] by set and name.

    Args:
      norm: the final norm, on the devices.
      states: the outputs of the last block.
      statistics: those that add up samples.
    """
    rows: list[Any] = []

    def step(state: Any, context: Context) -> tuple[None, Any]:
        values = _head_values(
            state, context.valid, norm=norm, config=config, statistics=tuple(statistics),
            mesh=states.mesh,
        )  # fmt: skip
        return None, values

    states.run(step, rows.append)
    by_name = {s.name: states.gather([values[s.name] for values in rows]) for s in statistics}
    return {
        key: {
            name: sum_samples(values[members], states.samples[members])[None]
            for name, values in by_name.items()
        }
        for key, members in states.sets.items()
    }


@functools.partial(compiled_by_rows, static_argnames=("config", "statistics"))
def _head_values(
    state: Float[Array, "B T D"],
    valid: Bool[Array | np.ndarray, "B T"],
    *,
    norm: HeadParams,
    config: ModelConfig,
    statistics: tuple[Statistic, ...],
) -> dict[str, Float[Array, "B D"]]:
    h = head_inputs(config, norm, state, state.dtype)
    return {s.name: s.sample_values(h, jnp.asarray(valid)) for s in statistics}


def _by_group(
    states: CalibrationStates, members: Bool[np.ndarray, " N"], rows: Float[np.ndarray, "N F"]
) -> dict[str, np.ndarray]:
    """The sums of a set's rows and tokens over groups, each of every GROUPS-th sample of the set."""
    group = states.ranks(members) % GROUPS
    positive, tokens = np.zeros((GROUPS, rows.shape[1]), np.int32), np.zeros(GROUPS, np.int64)
    np.add.at(positive, group, rows[members].astype(np.int32))
    np.add.at(tokens, group, states.tokens[members])
    return {POSITIVE.name: positive, "tokens": tokens}
