"""Calibration samples of all variants: tokenised once, in shared shapes, and probed once if possible."""

import dataclasses
import functools
from collections.abc import Sequence

from jaxprune.base.schema import fields_of
from jaxprune.data.batches import Batch, digest
from jaxprune.data.config import TextFields
from jaxprune.data.kinds import KINDS
from jaxprune.data.languages import MIX
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.model import Model
from jaxprune.pruning.criterion import CODE
from jaxprune.search.sweeps.config import SweepConfig
from jaxprune.search.sweeps.grid import value_text
from jaxprune.search.sweeps.sweep_json import SAMPLES
from jaxprune.search.sweeps.variants import Variant
from jaxprune.stats.grouping import share_shapes
from jaxprune.stats.probe import probe
from jaxprune.stats.stats import ActivationStats
from jaxprune.steps.configs import MethodConfig
from jaxprune.steps.samples import calibration_batches

# The fields of code, and those of sentences beside kind and source, which a set's name has in any case.
_CODE_FIELDS = ("code", "samples", "max_length", "draw")
_TEXT_FIELDS = tuple(sorted({*fields_of(TextFields), "tokens"} - {"kind", "source", "code"}))


class CalibrationSets:
    """The *sets* of samples of pruned variants: "monolingual/fr", "translation/fr+sw", "code". Where a variant's
    settings differ from the sweep's, they follow: "monolingual/fr/draw=2/4".

    Sets share their static lengths, so a block is compiled once for all variants. The lengths depend on all variants of
    the sweep, complete or not, so a resumed sweep has the same bits. Recoveries make their samples themselves.

    Args:
      config: config of the sweep.
      variants: all variants.
      model: source of the tokenizer.
    """

    def __init__(self, config: SweepConfig, variants: Sequence[Variant], model: Model) -> None:
        self._config, self._model = config, model
        self._pruned = [
            variant.config for variant in variants if isinstance(variant.config, MethodConfig)
        ]
        by_set: dict[str, list[Batch]] = {}
        for pruned in self._pruned:
            if {*self._names(pruned)} - by_set.keys():
                by_set |= self._sampled(pruned)
        all_batches = [batch for batches in by_set.values() for batch in batches]
        self._batches: dict[str, list[Batch]] = {name: [] for name in by_set}
        self._probed_stats: dict[str, ActivationStats] = {}
        for batch in share_shapes(all_batches) if all_batches else []:
            self._batches[batch.role].append(batch)

    def batches(self, config: MethodConfig) -> list[Batch]:
        """The samples of a variant's config, with the roles of pruning."""
        return [batch for name in self._names(config) for batch in self._batches_of(name)]

    def stats(self, config: MethodConfig) -> ActivationStats | None:
        """Statistics of the dense model on the samples of a variant's config, probed once for all that need the same.

        None if `pruning.propagate` is not dense, as statistics then depend on the pruned blocks below, so on the
        sparsity; or if they are too large to be kept.
        """
        names, statistics = self._names(config), config.settings.statistics
        if config.settings.propagate != "dense" or not names:
            return None
        if not all(statistic.persisted for statistic in statistics):
            return None
        return functools.reduce(ActivationStats.merge, map(self._probed, names))

    def digests(self) -> dict[str, str]:
        """SHA-256 of the tokens of each set."""
        return {f"{SAMPLES}{name}": digest(batches) for name, batches in self._batches.items()}

    def _sampled(self, config: MethodConfig) -> dict[str, list[Batch]]:
        """The sets of a config; the role of a batch is the name of its set."""
        by_set: dict[str, list[Batch]] = {}
        for batch in calibration_batches(config, self._model):
            name = self._name(batch.role, config)
            by_set.setdefault(name, []).append(dataclasses.replace(batch, role=name))
        return by_set

    def _names(self, config: MethodConfig) -> list[str]:
        """The names of the sets of a config."""
        if not config.settings.needs_statistics:
            return []
        kind = KINDS[config.calibration.kind]
        roles = (kind.role, CODE) if CODE in config.settings.sets else (kind.role,)
        return [self._name(role, config) for role in roles]

    def _name(self, role: str, config: MethodConfig) -> str:
        parts = [role] if role == CODE else [role, MIX.join(config.calibration.source)]
        for name in _CODE_FIELDS if role == CODE else _TEXT_FIELDS:
            value = getattr(config.calibration, name)
            if value != getattr(self._config.calibration, name):
                parts.append(f"{name}={value_text(f'calibration.{name}', value)}")
        if config.seed != self._config.seed:
            parts.append(f"seed={config.seed}")
        return "/".join(parts)

    def _batches_of(self, name: str) -> list[Batch]:
        role = name.partition("/")[0]
        return [dataclasses.replace(batch, role=role) for batch in self._batches[name]]

    def _probed(self, name: str) -> ActivationStats:
        """The statistics of a set that all variants together need, as some share their sets."""
        if name not in self._probed_stats:
            needed = {s for config in self._pruned for s in config.settings.statistics}
            self._probed_stats[name] = probe(
                self._model, self._batches_of(name), dtype=self._config.dtype,
                mesh=device_mesh(self._config.mesh.data, self._config.mesh.model),
                statistics=sorted(s.name for s in needed if s.persisted),
            )  # fmt: skip
        return self._probed_stats[name]
