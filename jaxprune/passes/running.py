"""Running sums: statistics that the devices add up as micro-batches pass, in an order that many meshes share.

A sum of floats depends on its order. So the units of a micro-batch, which are what one device takes of it, are dealt
into `LANES` lanes, the lanes in turn onto the devices, and each lane adds its units one after another; the host adds
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

from jaxprune.calibration import SetKey
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
    """Whether one of them is added up on the devices."""
    return any(one.reduction == RUNNING for one in statistics)


def order_of_sums(statistics: Sequence[Statistic], mesh: Mesh) -> str | None:
    """What the bits of running sums depend on beside their samples, in words; None without such a statistic."""
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


class RunningSums:
    """The buffers of one segment's running statistics; empty, and without cost, where there are none.

    Args:
      statistics: those that are running are kept.
      sites: that the segment measures.
      sets: those that rows are of.
    """

    def __init__(
        self,
        statistics: Sequence[Statistic],
        sites: Sequence[str],
        sets: Sequence[SetKey],
        config: ModelConfig,
        mesh: Mesh,
    ) -> None:
        self._mesh, self._sets = mesh, sets
        running = [one for one in statistics if one.reduction == RUNNING]
        widths = site_widths(config) if running else {}
        self.buffers: Buffers = {
            site: {one.name: self._zeros(one, widths.get(site, config.d_model)) for one in running}
            for site in (sites if running else ())
        }

    def _zeros(self, statistic: Statistic, width: int) -> Array:
        rows = jax.ShapeDtypeStruct((1, 1, width), jnp.float32), jax.ShapeDtypeStruct((1, 1), bool)
        value = jax.eval_shape(statistic.of_rows, *rows)
        lanes = (self._mesh.size, len(self._sets), lanes_per_device(self._mesh))
        return jnp.zeros((*lanes, *value.shape[1:]), jnp.float32, device=by_rows(self._mesh))

    def take(self, values: dict[str, dict[str, Array]]) -> None:
        """Takes the new running sums out of what `run_segment` returned."""
        for site, by_name in self.buffers.items():
            for name in by_name:
                by_name[name] = values[site].pop(name)

    def totals(self) -> dict[SetKey, dict[str, dict[str, np.ndarray]]]:
        """Set → site → statistic → the sum over all samples of all processes, float32, on the host."""
        found: dict[SetKey, dict[str, dict[str, np.ndarray]]] = {key: {} for key in self._sets}
        for site, by_name in self.buffers.items():
            for name, buffer in by_name.items():
                for key, total in zip(self._sets, _added(np.asarray(buffer)), strict=True):
                    found[key].setdefault(site, {})[name] = total
        return found


def _added(
    buffer: Float[np.ndarray, "devices sets lanes *rest"],
) -> Float[np.ndarray, "*dims"]:
    """The lanes of all devices, and of all processes, added one after another."""
    lanes = np.moveaxis(buffer, 2, 0)  # the units go onto the devices first
    ours = np.add.reduce(lanes.reshape(-1, *lanes.shape[2:]), axis=0)
    everyone = hosts.gather(ours[None], [1] * jax.process_count())
    return np.add.reduce(everyone, axis=0)
