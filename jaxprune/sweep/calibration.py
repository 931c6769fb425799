"""Calibration samples of all variants: tokenised once, in shapes that they share, probed once where that will do."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from ml_collections import ConfigDict

from jaxprune.calibration import KINDS, Batch, demonstrations, share_shapes
from jaxprune.devices import device_mesh
from jaxprune.hf import Model
from jaxprune.passes import ActivationStats, probe
from jaxprune.pruning import CODE
from jaxprune.runs import checkpoint
from jaxprune.sweep.plan import Variant, variants


class Samples:
    """The *sets* of samples that variants are calibrated with: "monolingual/fr", "translation/fr", "code".

    Sets share their static lengths, so that a block is compiled once for all variants. They are made of all
    variants of the sweep, whichever are left to do: a sweep that was stopped goes on with the same bits.

    Args:
      config: of the sweep.
      model: gives the tokenizer.
      workdir: of the sweep; statistics of the dense model go to `stats/<set>`.
    """

    def __init__(self, config: ConfigDict, model: Model, workdir: Path) -> None:
        self._config, self._model, self._folder = config, model, workdir / "stats"
        made: dict[str, list[Batch]] = {}
        for variant in variants(config):
            if missing := {*sets(variant)} - made.keys():
                found = self._demonstrations(variant)
                made |= {name: found[name] for name in sorted(missing)}
        together = [batch for batches in made.values() for batch in batches]
        self._batches: dict[str, list[Batch]] = {name: [] for name in made}
        for batch in share_shapes(together) if together else []:
            self._batches[batch.role].append(batch)

    def batches(self, variant: Variant) -> list[Batch]:
        """The samples of a variant, under the roles that pruning knows."""
        return [batch for name in sets(variant) for batch in self._of(name)]

    def stats(self, variant: Variant) -> ActivationStats | None:
        """Statistics of the dense model on these samples, where nothing else is needed; probed once for each set.

        With another `pruning.propagate` than dense they depend on what is pruned in the blocks below, and
        so on the sparsity: None.
        """
        if self._config.pruning.propagate != "dense" or not sets(variant):
            return None
        return functools.reduce(ActivationStats.merge, map(self._probed, sets(variant)))

    def _demonstrations(self, variant: Variant) -> dict[str, list[Batch]]:
        """The sets of a variant, whose batches have the set's name as their role."""
        wanted = self._config.calibration
        batches = demonstrations(
            self._model.tokenizer, wanted.data, kind=variant.calibration,
            source=str(variant.language), target=wanted.target, shots=wanted.shots,
            samples=wanted.samples, max_length=wanted.max_length, seed=self._config.seed,
            compat=self._config.compat, code=wanted.code,
        )  # fmt: skip
        found: dict[str, list[Batch]] = {}
        for batch in batches:
            name = CODE if batch.role == CODE else f"{batch.role}/{variant.language}"
            found.setdefault(name, []).append(dataclasses.replace(batch, role=name))
        return found

    def _of(self, name: str) -> list[Batch]:
        role = name.partition("/")[0]
        return [dataclasses.replace(batch, role=role) for batch in self._batches[name]]

    def _probed(self, name: str) -> ActivationStats:
        folder = self._folder / name.replace("/", "-")
        if folder.is_dir():
            return checkpoint.restore_stats(folder)
        mesh = device_mesh(**self._config.mesh)
        stats = probe(self._model, self._of(name), dtype=self._config.dtype, mesh=mesh)
        checkpoint.save_stats(folder, stats)
        return stats


def sets(variant: Variant) -> tuple[str, ...]:
    """Names of the sets that a variant needs."""
    if variant.language is None:
        return ()
    kind = KINDS[variant.calibration]
    own = f"{kind.role}/{variant.language}"
    return (own, CODE) if kind.may_hold_code else (own,)
