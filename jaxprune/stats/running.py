"""Running sums: statistics that the devices accumulate over micro-batches, in an order that many meshes share.

A sum of floats depends on its order. Therefore the units of a micro-batch (the rows of one device) are distributed over
`LANES` lanes, and the lanes over the devices. Each lane adds its units in order, and the host adds the lanes. With 1,
2, 4 or 8 devices each lane is on one device, and the bits are the same. With other numbers of devices each device has
one lane. Each of several processes has its own lanes, which are added in the order of the processes.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int32

from jaxprune.devices import hosts
from jaxprune.devices.sharding import by_rows
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import site_widths
from jaxprune.stats.statistics.statistic import RUNNING, Statistic

LANES = 8

# Site → statistic → float32 [devices, sets, lanes of a device, ...], sharded by device.
Buffers = dict[str, dict[str, Array]]


def lanes_of(devices: int) -> int:
    """Number of lanes per device."""
    return LANES // devices if LANES % devices == 0 else 1


def has_running(statistics: Sequence[Statistic]) -> bool:
    """Whether one of the statistics is a running sum."""
    return any(statistic.reduction == RUNNING for statistic in statistics)


def order_of_sums(statistics: Sequence[Statistic], mesh: Mesh) -> str | None:
    """The order of running sums, which determines their bits, in words; None without such a statistic."""
    if not has_running(statistics):
        return None
    return f"{lanes_of(mesh.size) * mesh.size} lanes, {jax.process_count()} processes"


def add_rows(
    statistic: Statistic,
    buffer: Float[Array, "1 S lanes ..."],
    u: Float[Array, "B T D"],
    valid: Bool[Array, "B T"],
    place: Int32[Array, "B 2"],
    factor: Float[Array, " B"],
) -> Float[Array, "1 S lanes ..."]:
    """One device's sums with the values of its rows added in order.

    Args:
      place: (set, lane of this device) of each row.
      factor: factor of the values of each row.
    """

    def add(row: Array, buffer: Array) -> Array:
        row_inputs = (lax.dynamic_slice_in_dim(x, row, 1) for x in (u, valid))
        value = factor[row] * statistic.sample_values(*row_inputs)[0]
        return buffer.at[0, place[row, 0], place[row, 1]].add(value)

    return lax.fori_loop(0, len(u), add, buffer)


def zero_buffers(
    statistics: Sequence[Statistic],
    sites: Sequence[str],
    sets: int,
    config: ModelConfig,
    mesh: Mesh,
) -> Buffers:
    """Zeros for the statistics that are running sums, at each of `sites`."""

    def zeros(statistic: Statistic, width: int) -> Array:
        rows = jax.ShapeDtypeStruct((1, 1, width), jnp.float32), jax.ShapeDtypeStruct((1, 1), bool)
        value = jax.eval_shape(statistic.sample_values, *rows)
        shape = (mesh.size, sets, lanes_of(mesh.size), *value.shape[1:])
        return jnp.zeros(shape, jnp.float32, device=by_rows(mesh))

    running = [s for s in statistics if s.reduction == RUNNING]
    widths = site_widths(config)
    return {
        site: {s.name: zeros(s, widths.get(site, config.d_model)) for s in running}
        for site in sites
    }


def sum_lanes(buffer: Array) -> Float[np.ndarray, "*dims"]:
    """The sum of each set over the samples of all processes, float32 [sets, ...], on the host, in lane order."""
    shards = sorted(buffer.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    by_device = [np.asarray(shard.data)[0] for shard in shards]
    # consecutive units are on consecutive devices
    lanes = (sums[:, lane] for lane in range(by_device[0].shape[1]) for sums in by_device)
    total = next(lanes).copy()
    for lane in lanes:
        total += lane
    by_process = hosts.gather(total[None], [1] * jax.process_count())
    return np.add.reduce(by_process, axis=0)
