"""The device mesh and where arrays lie on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxprune.errors import InputError

DATA = "data"


def data_mesh(devices: int = -1) -> Mesh:
    """A mesh of one axis, "data", over the first `devices` devices of this process (-1: all).

    Raises:
      InputError: more devices are asked for than there are.
    """
    there = jax.local_device_count()
    if not (devices == -1 or 1 <= devices <= there):
        raise InputError(f"mesh.data={devices}: expected -1 or 1 to {there}, the devices there are")
    count = there if devices == -1 else devices
    return jax.make_mesh((count,), (DATA,), (AxisType.Auto,), devices=jax.local_devices()[:count])


def replicated(mesh: Mesh) -> NamedSharding:
    """Whole on every device: the weights of a block."""
    return NamedSharding(mesh, PartitionSpec())


def on_own_rows(function: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    """`function(params, *rows)`, run by each device on its share of the rows and with whole params."""

    def call(params: Any, *rows: Any) -> Any:
        share = PartitionSpec(DATA)
        specs = (PartitionSpec(), *[share] * len(rows))
        return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=share)(params, *rows)

    return call


def by_rows(mesh: Mesh) -> NamedSharding:
    """Cut along the first axis: samples."""
    return NamedSharding(mesh, PartitionSpec(DATA))
