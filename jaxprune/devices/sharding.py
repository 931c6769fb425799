"""The device mesh and the layout of arrays on it."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.schema import config_record, is_int, rule
from jaxprune.devices.compiled import compiled

# More host devices gain nothing: micro-batches already fill a core.
_MAX_CPU_DEVICES = 8

DATA, MODEL = "data", "model"


def _is_count(value: object) -> bool:
    return is_int(value) and (value == -1 or value > 0)


@config_record
class MeshFields:
    """The fields `mesh.*`: devices along each axis."""

    data: int = rule(
        "a number of groups of devices, or -1 for all",
        _is_count,
        -1,
        meaning="groups of devices; -1: all",
    )
    model: int = rule(
        "a number of devices that share a block, or -1 for all",
        _is_count,
        1,
        meaning="devices in a group, which share a block; -1: all",
    )


WHOLE = PartitionSpec()
# Samples, and for the selection of masks output columns, are sharded over all devices. MODEL comes first, so that a
# device ranks columns of its own share of the kernel.
EVERY = (MODEL, DATA)


def given_mesh(mesh: Mesh | None) -> Mesh:
    """The mesh; one of all devices for None.

    Raises:
      InputError: not a mesh, or one with other axes than those of `device_mesh`.
    """
    if mesh is None:
        return device_mesh()
    if not isinstance(mesh, Mesh) or {*mesh.axis_names} != {DATA, MODEL}:
        raise invalid_value("mesh", mesh, f"a jax.sharding.Mesh of the axes {DATA!r} and {MODEL!r}")
    return Mesh(mesh.devices, mesh.axis_names)  # jax.make_mesh makes axes of another type


def one_cpu_device_per_core() -> None:
    """Gives JAX one CPU device per core, before its backend starts.

    No effect if the number is already set (XLA_FLAGS, JAX_NUM_CPU_DEVICES) or the default platform is not the CPU.
    """
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if forced or "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    # macOS does not list the cores that this process may use
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jax.config.update("jax_num_cpu_devices", min(own or 1, _MAX_CPU_DEVICES))


def device_mesh(data: int = -1, model: int = 1) -> Mesh:
    """A mesh of two axes over devices of this process.

    Args:
      data: groups of devices (-1: all); each group has the parameters of a block.
      model: devices in a group (-1: all that `data` leaves); each has a share of every kernel.

    Raises:
      InputError: more devices than available.
    """
    groups, across = mesh_shape(data, model, jax.local_device_count())
    return mesh_of(jax.local_devices()[: groups * across], across)


def mesh_shape(data: int, model: int, count: int) -> tuple[int, int]:
    """Groups of devices, and devices in a group, for `device_mesh` on a number of devices; raises as it does."""
    across = count // max(data, 1) if model == -1 else model
    groups = count // max(across, 1) if data == -1 else data
    if not (groups >= 1 and across >= 1 and groups * across <= count):
        raise InputError(
            f"mesh.data={data}, mesh.model={model}: expected -1 or numbers whose product is 1 to {count}, "
            "the number of devices"
        )
    return groups, across


def mesh_of(devices: Sequence[jax.Device], model: int = 1) -> Mesh:
    """These devices as groups of `model`."""
    shape = (len(devices) // model, model)
    return jax.make_mesh(shape, (DATA, MODEL), (AxisType.Auto,) * 2, devices=devices)


def replicated(mesh: Mesh) -> NamedSharding:
    """Replicated: a copy on every device."""
    return NamedSharding(mesh, WHOLE)


def by_rows(mesh: Mesh) -> NamedSharding:
    """Sharded along the first axis: samples."""
    return NamedSharding(mesh, PartitionSpec(EVERY))


def block_specs(block: Mapping[str, Any], mesh: Mesh) -> dict[str, Any]:
    """The layout of a block's parameters: kernels [in, out] sharded by columns over MODEL, the rest replicated.

    A kernel whose columns do not divide evenly is replicated too.
    """

    def spec(path: str, leaf: Any) -> PartitionSpec:
        shared = path.endswith("kernel") and leaf.shape[1] % mesh.shape[MODEL] == 0
        return PartitionSpec(None, MODEL) if shared and mesh.shape[MODEL] > 1 else WHOLE

    flat = flatten_dict(dict(block), sep="/")
    return unflatten_dict({path: spec(path, leaf) for path, leaf in flat.items()}, sep="/")


def block_shares(block: Mapping[str, Any], mesh: Mesh) -> Any:
    """`block_specs` as shardings."""
    return jax.tree.map(lambda spec: NamedSharding(mesh, spec), block_specs(block, mesh))


def whole(leaf: Any, spec: PartitionSpec) -> Any:
    """Inside `on_own_rows`: a parameter with layout `spec`, gathered from the devices of the group."""
    return jax.lax.all_gather(leaf, MODEL, axis=1, tiled=True) if MODEL in spec else leaf


def on_own_rows(function: Callable[..., Any], mesh: Mesh, specs: Any = WHOLE) -> Callable[..., Any]:
    """`function(params, *rows)`, run by each device on its share of the rows.

    Args:
      specs: the layout of params, a prefix of their tree; by default replicated.
    """

    def call(params: Any, *rows: Any) -> Any:
        share = PartitionSpec(EVERY)
        in_specs = (specs, *[share] * len(rows))
        # check_vma: kernels and loops do not declare which values differ between devices
        sharded = jax.shard_map(
            function, mesh=mesh, in_specs=in_specs, out_specs=share, check_vma=False
        )
        # by default TPUs round float32 factors to bfloat16, and GPUs to TF32
        with jax.default_matmul_precision("float32"):
            return sharded(params, *rows)

    return call


def compiled_by_rows(
    function: Callable[..., Any], static_argnames: Sequence[str] = (), **options: Any
) -> Any:
    """`function(*rows, **keywords)`, compiled; each device runs it on its share of the rows.

    Keyword arguments are replicated. The compiled function also takes a `mesh` by name.
    """

    def call(*rows: Any, mesh: Mesh, **keywords: Any) -> Any:
        static = {name: keywords.pop(name) for name in static_argnames}

        def on_device(keywords: Any, *rows: Any) -> Any:
            return function(*rows, **keywords, **static)

        return on_own_rows(on_device, mesh)(keywords, *rows)

    functools.update_wrapper(call, function)
    del vars(call)["__wrapped__"]  # its signature has no mesh
    return compiled(call, static_argnames=(*static_argnames, "mesh"), **options)
