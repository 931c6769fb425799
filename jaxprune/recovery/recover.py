"""A pruned or smaller model → its recovered blocks, in one of the ways of `recovery.how`."""

from collections.abc import Callable, Generator, Mapping, Sequence

from jax.sharding import Mesh

from jaxprune.calibration import Batch
from jaxprune.devices import given_mesh
from jaxprune.errors import InputError
from jaxprune.hf import Model, check_model
from jaxprune.passes import SAMPLES_PER_DEVICE, check_samples
from jaxprune.pruning import FinishedLayer, PrunedBlock
from jaxprune.recovery.by_block import recover_by_block
from jaxprune.recovery.config import RecoveryFields
from jaxprune.recovery.distil import distil
from jaxprune.recovery.fit import Saved
from jaxprune.recovery.task import Task

_WAYS: Mapping[str, Callable[[Task], Generator[PrunedBlock, None, None]]] = {
    "block": recover_by_block,
    "distil": distil,
}


def recover_blocks(
    model: Model,
    batches: Sequence[Batch],
    pruned: Callable[[int], FinishedLayer],
    fields: RecoveryFields,
    *,
    teacher: Model | None = None,
    dtype: str = "float32",
    seed: int = 0,
    mesh: Mesh | None = None,
    samples_per_device: int = SAMPLES_PER_DEVICE,
    progress: bool = True,
    finished: Callable[[int], FinishedLayer | None] = lambda layer: None,
    saved: Saved | None = None,
) -> Generator[PrunedBlock, None, None]:
    """Recovers and yields the blocks of a pruned or smaller model in order.

    For arguments and errors see `Task` and `recover`.

    Args:
      teacher: by default `model`.
    """
    check_model(model)
    check_samples(batches, samples_per_device)
    rows = min(samples_per_device, fields.batch)
    if sum(-(-len(batch.tokens) // rows) for batch in batches) < 2:
        raise InputError(
            "calibration.samples: too few for recovery, which also holds out some; allowed: more"
        )
    if teacher is not None and fields.how != "distil":
        raise InputError(f"recovery.how: got {fields.how!r}; allowed for a smaller model: distil")
    task = Task(
        model=model, teacher=teacher or model, batches=batches, pruned=pruned, fields=fields, dtype=dtype, seed=seed,
        mesh=given_mesh(mesh), samples_per_device=rows, progress=progress, finished=finished,
        saved=saved,
    )  # fmt: skip
    return _WAYS[fields.how](task)
