"""Calibration samples of all variants: tokenised once, in shared shapes, and probed once if possible."""

import dataclasses
import functools
from pathlib import Path

from jaxprune import ledger
from jaxprune.calibration import KINDS, Batch, digest, share_shapes
from jaxprune.config import SweepConfig
from jaxprune.devices import device_mesh
from jaxprune.hf import Model
from jaxprune.passes import ActivationStats, probe
from jaxprune.pruning import CODE
from jaxprune.runs import calibration_batches, checkpoint
from jaxprune.sweeps.plan import Variant, variant_config, variants

STATS = "stats"  # folder of the sets' statistics in a sweep's workdir


class CalibrationSets:
    """The *sets* of samples for calibration: "monolingual/fr", "translation/fr+sw", "code", and with draws
    "monolingual/fr/draw2".

    Sets share their static lengths, so a block is compiled once for all variants. The lengths depend on all variants of
    the sweep, complete or not, so a resumed sweep has the same bits.

    Args:
      config: of the sweep.
      model: has the tokenizer.
      workdir: of the sweep; statistics of the dense model are stored in `stats/<set>`.
    """

    def __init__(self, config: SweepConfig, model: Model, workdir: Path) -> None:
        self._config, self._model, self._folder = config, model, workdir / STATS
        by_set: dict[str, list[Batch]] = {}
        for variant in variants(config):
            if missing := {*set_names(variant)} - by_set.keys():
                of_variant = self._demonstrations(variant)
                by_set |= {name: of_variant[name] for name in sorted(missing)}
        all_batches = [batch for batches in by_set.values() for batch in batches]
        self._batches: dict[str, list[Batch]] = {name: [] for name in by_set}
        for batch in share_shapes(all_batches) if all_batches else []:
            self._batches[batch.role].append(batch)

    def batches(self, variant: Variant) -> list[Batch]:
        """The samples of a variant, with the roles of pruning."""
        return [batch for name in set_names(variant) for batch in self._of(name)]

    def digests(self) -> dict[str, str]:
        """SHA-256 of the tokens of each set."""
        return {f"calibration {name}": digest(batches) for name, batches in self._batches.items()}

    def stats(self, variant: Variant) -> ActivationStats | None:
        """Statistics of the dense model on the samples of a variant, probed once for each set.

        None if `pruning.propagate` is not dense, as statistics then depend on the pruned blocks below, so on the
        sparsity; or if they are too large to be saved.
        """
        if self._config.pruning.propagate != "dense" or not set_names(variant):
            return None
        needed = variant_config(self._config, variant).settings.statistics
        if not all(one.persisted for one in needed):
            return None
        return functools.reduce(ActivationStats.merge, map(self._probed, set_names(variant)))

    def _demonstrations(self, variant: Variant) -> dict[str, list[Batch]]:
        """The sets of a variant; the role of a batch is the name of its set."""
        batches = calibration_batches(variant_config(self._config, variant), self._model)
        by_set: dict[str, list[Batch]] = {}
        for batch in batches:
            name = _set_name(batch.role, variant)
            by_set.setdefault(name, []).append(dataclasses.replace(batch, role=name))
        return by_set

    def _of(self, name: str) -> list[Batch]:
        role = name.partition("/")[0]
        return [dataclasses.replace(batch, role=role) for batch in self._batches[name]]

    @functools.cached_property
    def _statistics(self) -> list[str]:
        """The statistics that are saved, of all variants, as some share their sets."""
        pruned = [one for one in variants(self._config) if one.sparsity is not None]
        every = (variant_config(self._config, one).settings for one in pruned)
        return sorted({s.name for one in every for s in one.statistics if s.persisted})

    def _probed(self, name: str) -> ActivationStats:
        folder = self._folder / name.replace("/", "-")
        with ledger.locked(self._folder.parent, f"stats-{folder.name}.lock", wait=True):
            if folder.is_dir():
                return checkpoint.restore_stats(folder)
            mesh = device_mesh(self._config.mesh.data, self._config.mesh.model)
            stats = probe(
                self._model, self._of(name),
                dtype=self._config.dtype, mesh=mesh, statistics=self._statistics,
            )  # fmt: skip
            checkpoint.save_stats(folder, stats, self._model)
            return stats


def set_names(variant: Variant) -> tuple[str, ...]:
    """Names of the sets of a variant."""
    if variant.language is None:
        return ()
    kind = KINDS[variant.calibration]
    roles = (kind.role, CODE) if kind.may_hold_code else (kind.role,)
    return tuple(_set_name(role, variant) for role in roles)


def _set_name(role: str, variant: Variant) -> str:
    """As "translation/fr", "code", or with draws "translation/fr/draw2"."""
    language = None if role == CODE else variant.language
    draw = None if variant.draw is None else f"draw{variant.draw}"
    return "/".join(filter(None, (role, language, draw)))
