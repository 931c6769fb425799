"""Several processes, one per host: each has its own devices and its own share of the samples.

Every process compiles for its own devices only, so no pass over a block contains a collective. The processes exchange
the bytes of blocks, of which each reads a share, and sums of features, a few megabytes per layer, which are gathered
after a pass; all processes then select the same masks.
"""

import itertools
import json
from typing import Any

import jax
import numpy as np
from jax.dtypes import canonicalize_dtype
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Shaped

from jaxprune.base.errors import InputError

_HEARTBEAT = 10  # seconds without a sign of life after which a process counts as dead
_LONGEST_END = 3600  # seconds that processes wait for process 0, which writes the last files


def join(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Makes this process one of several; must be called before JAX initialises its devices.

    Args:
      coordinator: address and port of process 0. On TPU slices, Slurm and GKE all three arguments are detected.
      processes: number of processes.
      process: number of this process.

    Raises:
      InputError: the processes cannot be detected.
    """
    # Its handler would consume SIGTERM and do nothing.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator, processes, process,
            heartbeat_timeout_seconds=_HEARTBEAT, shutdown_timeout_seconds=_LONGEST_END,
        )  # fmt: skip
    except (ValueError, RuntimeError) as error:
        if coordinator is None:
            raise InputError(
                "--distributed: no TPU slice, Slurm or GKE was found; expected one of these, or --coordinator, "
                "--processes and --process"
            ) from error
        for flag, value in (("--processes", processes), ("--process", process)):
            if value is None and isinstance(error, ValueError):  # no scheduler says it either
                raise InputError(f"{flag}: not set; expected it beside --coordinator") from error
        raise InputError(f"--coordinator: {' '.join(str(error).split())}") from error


def is_first() -> bool:
    """True for process 0, the only one that writes shared files."""
    return jax.process_index() == 0


def shares(costs: Shaped[np.ndarray, " N"], processes: int | None = None) -> list[range]:
    """Contiguous shares of N units of work, of about equal cost, one per process; by default of all processes."""
    count, ends = processes or jax.process_count(), np.cumsum(costs)
    owners = ((ends - costs / 2) * count / ends[-1]).astype(int)
    bounds = np.searchsorted(owners, np.arange(count + 1)).tolist()
    return [range(*pair) for pair in itertools.pairwise(bounds)]


def share(count: int) -> range:
    """The share of `count` items, such as rows, that belongs to this process."""
    return shares(np.ones(count))[jax.process_index()]


def gather_shares(rows: Shaped[np.ndarray, "n ..."], count: int) -> Shaped[np.ndarray, "N ..."]:
    """All `count` rows, from the `share` of each process."""
    return gather(rows, [len(owned) for owned in shares(np.ones(count))])


def gather(rows: Shaped[np.ndarray, "n ..."], counts: list[int]) -> Shaped[np.ndarray, "N ..."]:
    """The rows of all processes in their order, in every process.

    Args:
      rows: rows of this process.
      counts: number of rows of each process, the same in all processes.
    """
    if jax.process_count() == 1:
        return rows
    filled = np.zeros((max(counts), *rows.shape[1:], 1), rows.dtype)
    filled[: len(rows), ..., 0] = rows
    narrow = np.uint32 if rows.dtype.itemsize == 8 else rows.dtype  # JAX would round 64 bits to 32
    gathered = np.asarray(multihost_utils.process_allgather(filled.view(narrow)))
    parts = [part[:count] for part, count in zip(gathered, counts, strict=True)]
    return np.concatenate(parts).view(rows.dtype)[..., 0]


def gather_json(value: Any) -> list[Any]:
    """The JSON value of each process, in every process; all must call."""
    if jax.process_count() == 1:
        return [value]
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    sizes = gather(np.array([text.size]), [1] * jax.process_count()).tolist()
    joined = gather(text, sizes).tobytes()
    ends = [0, *itertools.accumulate(sizes)]
    return [json.loads(joined[begin:end]) for begin, end in itertools.pairwise(ends)]


def spread(tree: Any) -> Any:
    """Host arrays that are equal in all processes → arrays sharded over all devices; unchanged for one process.

    Each is sharded along the first axis that divides evenly over all devices, or replicated if no axis does. Arrays of
    dtypes that JAX would narrow are unchanged.
    """
    if jax.process_count() == 1:
        return tree
    mesh = Mesh(np.array(jax.devices()), ("all",))

    def over_devices(leaf: Any) -> Any:
        even = (axis for axis, n in enumerate(np.shape(leaf)) if n and n % mesh.size == 0)
        axis = next(even, None)
        spec = PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, "all")
        return jax.make_array_from_callback(
            leaf.shape, NamedSharding(mesh, spec), leaf.__getitem__, dtype=leaf.dtype
        )

    def fits(leaf: Any) -> bool:
        return isinstance(leaf, np.ndarray) and canonicalize_dtype(leaf.dtype) == leaf.dtype

    return jax.tree.map(lambda leaf: over_devices(leaf) if fits(leaf) else leaf, tree)


def any_of(flag: bool) -> bool:
    """True if it is true in any process; all must call."""
    return any(gather_json(flag))


def wait(name: str) -> None:
    """Waits until all processes have reached the same place."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
