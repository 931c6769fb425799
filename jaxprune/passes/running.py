"""Running sums: statistics that the devices add up as micro-batches pass, in an order that many meshes share.

A sum of floats depends on its order. So the units of a micro-batch (the rows that one device takes of it) are dealt
into `LANES` lanes, the lanes are dealt onto the devices, and each lane adds its units one after another; the host adds
the lanes. With 1, 2, 4 or 8 devices a lane is whole on one of them, and the bits are the same. Other numbers of devices
have a lane each; several processes have lanes of their own, which are added in the order of the processes.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int32

from jaxprune.devices import by_rows, hosts
from jaxprune.models import ModelConfig, site_widths
from jaxprune.passes.statistics import RUNNING, Statistic

LANES = 8

# Site → statistic → float32 [devices, sets, lanes of a device, ...], each device with its own.
Buffers = dict[str, dict[str, Array]]


def lanes_per_device(mesh: Mesh) -> int:
    """Lanes of this process that one device adds up."""
    return LANES // mesh.size if LANES % mesh.size == 0 else 1


def has_running(statistics: Sequence[Statistic]) -> bool:
    """Whether one of the statistics is added up on the devices."""
    return any(one.reduction == RUNNING for one in statistics)


def order_of_sums(statistics: Sequence[Statistic], mesh: Mesh) -> str | None:
    """The order of running sums in words, as their bits depend on it; None without such a statistic."""
    if not has_running(statistics):
        return None
    return f"{lanes_per_device(mesh) * mesh.size} lanes, {jax.process_count()} processes"


def add_rows(
    statistic: Statistic,
    buffer: Float[Array, "1 S lanes ..."],
    u: Float[Array, "B T D"],
    valid: Bool[Array, "B T"],
    place: Int32[Array, "B 2"],
) -> Float[Array, "1 S lanes ..."]:
    """One device's sums with the values of its rows added, row after row.

    Args:
      place: (set, lane of this device) of each row.
    """

    def add(row: Array, buffer: Array) -> Array:
        one = (lax.dynamic_slice_in_dim(x, row, 1) for x in (u, valid))
        value = statistic.of_rows(*one)[0]
        return buffer.at[0, place[row, 0], place[row, 1]].add(value)

    return lax.fori_loop(0, len(u), add, buffer)


def zero_buffers(
    statistics: Sequence[Statistic],
    sites: Sequence[str],
    sets: int,
    config: ModelConfig,
    mesh: Mesh,
) -> Buffers:
    """Zeros for those of the statistics that are running sums, at each of `sites`."""

    def zeros(statistic: Statistic, width: int) -> Array:
        rows = jax.ShapeDtypeStruct((1, 1, width), jnp.float32), jax.ShapeDtypeStruct((1, 1), bool)
        value = jax.eval_shape(statistic.of_rows, *rows)
        shape = (mesh.size, sets, lanes_per_device(mesh), *value.shape[1:])
        return jnp.zeros(shape, jnp.float32, device=by_rows(mesh))

    running = [one for one in statistics if one.reduction == RUNNING]
    widths = site_widths(config)
    return {
        site: {one.name: zeros(one, widths.get(site, config.d_model)) for one in running}
        for site in sites
    }


def sum_lanes(buffer: Array) -> Float[np.ndarray, "*dims"]:
    """The sum of each set [sets, ...] over all samples of all processes, float32, on the host: lane after lane."""
    lanes = np.moveaxis(np.asarray(buffer), 2, 0)  # the units go onto the devices first
    ours = np.add.reduce(lanes.reshape(-1, *lanes.shape[2:]), axis=0)
    everyone = hosts.gather(ours[None], [1] * jax.process_count())
    return np.add.reduce(everyone, axis=0)
