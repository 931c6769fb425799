"""A recovery: a pruned or smaller model, the dense one, samples and settings."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh

from jaxprune.data.batches import Batch
from jaxprune.hf.aligned import aligned_cast
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids.grid import Quantized, Weight
from jaxprune.models.model import kernel_shapes
from jaxprune.models.trees import BlockParams
from jaxprune.recovery.config import DISTIL, RecoveryFields
from jaxprune.recovery.fit import Fit
from jaxprune.stats.finished import FinishedLayer
from jaxprune.stats.probe import SAMPLES_PER_DEVICE
from jaxprune.stats.states import CalibrationStates, calibration_states


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A recovery.

    Attributes:
      model: the dense model, or a smaller one.
      teacher: the dense model, with the tokens of `model`.
      batches: samples, of which `fields.held_out` are not fitted.
      pruned: layer → the result of pruning or rounding it; of kernels on a grid the scales are fitted.
      mesh, dtype, seed, samples_per_device, progress: see `recover`.
      dropped: the layers of the teacher that the model lacks.
      finished: layer → the result of an earlier recovery, or None.
      saved: the file of the state of a fit of all blocks, see `fit`; of windows see `saved_at`.
    """

    model: Model
    teacher: Model
    batches: Sequence[Batch]
    pruned: Callable[[int], FinishedLayer]
    fields: RecoveryFields
    mesh: Mesh
    dtype: str = "float32"
    seed: int = 0
    samples_per_device: int = SAMPLES_PER_DEVICE
    progress: bool = True
    dropped: Sequence[int] = ()
    finished: Callable[[int], FinishedLayer | None] = lambda layer: None
    saved: Path | None = None

    @property
    def config(self) -> ModelConfig:
        """The config of the model in `dtype`."""
        return self.model.config_in(self.dtype)

    @property
    def size(self) -> dict[str, int]:
        """The number of samples, and of epochs at most."""
        samples = sum(len(batch.tokens) for batch in self.batches)
        return {"samples": samples, "epochs": self.fields.epochs}

    @property
    def windows(self) -> list[tuple[range, range]]:
        """The layers of each fit, and those of them that no later fit changes."""
        return windows_of(self.fields, self.config.n_layers)

    @property
    def ends(self) -> list[int]:
        """For each layer, the number of the teacher's blocks whose outputs are its targets.

        These are the inputs of the next layer that the model has, so a layer also learns the dropped ones after it.
        """
        whole = self.teacher.config.n_layers
        kept = [layer for layer in range(whole) if layer not in self.dropped]
        return [*kept[1 : self.config.n_layers], whole]

    def saved_at(self, layer: int) -> Path | None:
        """The file of the blocks that a window beginning at a layer shares with the one before; None to keep none."""
        return self.saved and self.saved.with_stem(f"{self.saved.stem}_{layer}")

    def samples(self) -> CalibrationStates:
        """The samples as input of the first block, all of them in every process: each has a share of each step."""
        return calibration_states(
            self.model, self.batches, self.mesh, self.samples_per_device, self.dtype, shared=False
        )


def windows_of(fields: RecoveryFields, layers: int) -> list[tuple[range, range]]:
    """The layers of each fit of a recovery, and those of them that no later fit changes; raises as `fields.window`."""
    size, stride = fields.window(layers)
    starts = range(0, max(1, layers - size + stride), stride)
    fits = [range(start, min(start + size, layers)) for start in starts]
    return [
        (fit, fit if fit.stop == layers else range(fit.start, fit.start + stride)) for fit in fits
    ]


def step_products(fields: RecoveryFields, layers: int) -> list[int]:
    """For each fit, the products of a token with the kernels of a block in one step, forward and backward.

    Three with each block that is fitted, and two with each one above through which `distil` passes.
    """
    passes_above = fields.how == DISTIL
    return [
        3 * len(fit) + 2 * passes_above * (layers - fit.stop)
        for fit, _ in windows_of(fields, layers)
    ]


def whole_layers(config: ModelConfig) -> Callable[[int], FinishedLayer]:
    """The layers of a model from which nothing was dropped."""
    keep = {path: np.ones(shape, bool) for path, shape in kernel_shapes(config).items()}
    return lambda layer: FinishedLayer(keep, {}, {}, {})


def finished_layer(
    start: FinishedLayer, stored: BlockParams, masters: Mapping[str, Weight], fitted: Fit | None
) -> FinishedLayer:
    """A fitted layer: the masters rounded to the dtypes of the stored block.

    Args:
      masters: by path.
      fitted: the fit whose loss is the layer's; None without one.
    """
    dtypes = {path: leaf.dtype for path, leaf in flatten_dict(dict(stored), sep="/").items()}
    changed: dict[str, Weight] = {
        path: leaf if isinstance(leaf, Quantized) else aligned_cast(np.asarray(leaf), dtypes[path])
        for path, leaf in masters.items()
    }
    loss = None if fitted is None else (fitted.before, fitted.after)
    return FinishedLayer(start.keep, changed, {}, {}, loss)
