"""Feature magnitudes: block + batches → ActivationStats (the paper's first step, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Shaped

from jaxprune.calibration import Batch, check_ids, token_counts
from jaxprune.devices import device_mesh, hosts
from jaxprune.errors import InputError
from jaxprune.hf import Model
from jaxprune.models import SITES, ModelConfig, family_of
from jaxprune.passes.blocks import blocks, to_device
from jaxprune.passes.stats import ActivationStats, sum_samples
from jaxprune.passes.walk import (
    HIDDEN,
    INPUT,
    OUTPUT,
    Context,
    MicroBatches,
    Segment,
    embed,
    run_segment,
)
from jaxprune.progress import progress_bar

# Samples that one device takes at a time. Two of 512 tokens fill a core's products; more would only
# make the last, half-empty piece dearer.
ROWS = 2

SiteSums = dict[str, dict[str, np.ndarray]]  # role → site → Σ X², float32 [D]


def probe(
    model: Model,
    batches: Sequence[Batch],
    *,
    dtype: str = "float32",
    mesh: Mesh | None = None,
    rows: int = ROWS,
    progress: bool = True,
    hidden: bool = False,
) -> ActivationStats:
    """Statistics of the dense model: one pass over all blocks.

    Args:
      model: its blocks are read one at a time.
      batches: left-justified samples; their roles stay apart in the result.
      dtype: "float32" or "bfloat16", of the weights on the device.
      mesh: devices; all by default. The bits of the result do not depend on it.
      rows: samples that a device takes at a time.
      progress: show a bar with tokens a second and time left.
      hidden: one more site, "hidden": the output of each block, [L, D]. The last one is without the
        model's final norm, which Hugging Face's last hidden state has.

    Raises:
      InputError: an activation is not finite (names layer and site); a sequence is too long.
    """
    mesh = mesh or device_mesh()
    pieces, counts = start(model, batches, mesh, rows), token_counts(batches)
    segment = Segment(start=INPUT, stop=OUTPUT, collect=True, advance=True, hidden=hidden)
    layers: list[SiteSums] = []

    with progress_bar("probe", model.config.n_layers, sum(counts.values()), progress) as bar:
        for layer, (_, params) in enumerate(blocks(model, dtype, mesh)):
            layers.append(collect(params, pieces, segment, model.config, layer))
            bar.update()
    return stack(layers, counts, model.config)


class Samples(MicroBatches):
    """A calibration set in pieces, of which this process holds its share.

    Attributes:
      roles: of all samples of all processes, in the order of `gather`.
      samples: their numbers within their role.
    """

    def __init__(self, batches: Sequence[Batch], mesh: Mesh, rows: int) -> None:
        super().__init__(mesh, rows)
        self.roles = np.repeat([b.role for b in batches], [len(b.samples) for b in batches])
        self.samples = np.concatenate([batch.samples for batch in batches])
        # rows that share a device's piece stay together, so that no bit depends on who has them
        units = [
            (number, begin, min(begin + rows, len(batch.tokens)))
            for number, batch in enumerate(batches)
            for begin in range(0, len(batch.tokens), rows)
        ]
        costs = np.array([batches[number].tokens.shape[1] for number, _, _ in units])
        shares = [[units[i] for i in share] for share in hosts.shares(costs)]
        self._counts = [sum(end - begin for _, begin, end in share) for share in shares]
        if not all(self._counts):
            raise InputError(
                f"calibration.samples: {len(self.samples)} samples are too few for {len(shares)} "
                f"processes; allowed: at least {rows} for each"
            )
        self._real: list[tuple[int, int]] = []  # pieces and, in them, rows that are no filling
        for number in sorted({number for number, _, _ in shares[jax.process_index()]}):
            own = [unit for unit in shares[jax.process_index()] if unit[0] == number]
            batch, part = batches[number], slice(own[0][1], own[-1][2])
            pieces = self.add(batch.tokens[part], Context(batch.valid[part]))
            self._real.append((pieces, own[-1][2] - own[0][1]))

    def gather(self, results: Sequence[Shaped[np.ndarray, "b ..."]]) -> Shaped[np.ndarray, "N ..."]:
        """What was found in each piece, for all samples of all processes, without rows that fill up."""
        own, place = [], 0
        for pieces, real in self._real:
            own.append(np.concatenate(results[place : place + pieces])[:real])
            place += pieces
        return hosts.gather(np.concatenate(own), self._counts)


def start(model: Model, batches: Sequence[Batch], mesh: Mesh, rows: int) -> Samples:
    """Samples cut into pieces and turned into the first block's input, reading only the embeddings that occur."""
    check_ids(batches, model.config.vocab_size)
    longest, positions = max(b.tokens.shape[1] for b in batches), model.config.max_positions
    if positions is not None and longest > positions:
        raise InputError(f"samples of {longest} tokens: the model has {positions} positions")
    pieces = Samples(batches, mesh, rows)
    tokens = np.concatenate([piece.ravel() for piece in pieces.states])
    table, indices = model.embed_rows(tokens)
    cuts = np.cumsum([piece.size for piece in pieces.states])[:-1]
    shapes = [piece.shape for piece in pieces.states]
    pieces.states = [x.reshape(s) for x, s in zip(np.split(indices, cuts), shapes, strict=True)]
    embed(model.config, to_device(table, "float32", mesh), pieces)
    return pieces


def collect(
    params: Any, pieces: Samples, segment: Segment, config: ModelConfig, layer: int
) -> SiteSums:
    """Runs one segment of a block over all pieces; sums of squares by role and site, in sample order.

    Raises:
      InputError: a sum is not finite; names layer and site.
    """

    def step(state: Any, context: Context) -> tuple[Any, Any]:
        return run_segment(params, state, context, config=config, mesh=pieces.mesh, segment=segment)

    results = pieces.run(step)
    sums: SiteSums = {role: {} for role in dict.fromkeys(map(str, pieces.roles))}
    for site in (s for s in (*SITES, HIDDEN) if s in results[0]):  # as data meets them
        by_sample = pieces.gather([result[site] for result in results])
        for role, found in sums.items():
            mine = pieces.roles == role
            total = sum_samples(by_sample[mine], pieces.samples[mine])
            if not np.isfinite(total).all():
                raise InputError(
                    f"layer {layer}, site {site}: an activation is not finite; the weights hold "
                    "NaN or infinity up to here, or overflow float32"
                )
            found[site] = total
    return sums


def stack(
    layers: Sequence[SiteSums], count: Mapping[str, int], config: ModelConfig
) -> ActivationStats:
    """Sums of all layers as one record, [L, D_site] a site."""
    sums = {
        role: {site: np.stack([layer[role][site] for layer in layers]) for site in layers[0][role]}
        for role in layers[0]
    }
    return ActivationStats(sums, dict(count), tuple(family_of(config).sites.items()))
