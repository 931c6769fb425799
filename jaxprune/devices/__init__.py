"""Devices and processes: the mesh, where arrays lie on it, what several hosts share, and how they end together."""

from jaxprune.devices.compilation import compiling, keep_compiled
from jaxprune.devices.compiled import compiled, compiler_settings, pinned
from jaxprune.devices.failure import termination
from jaxprune.devices.memory import available_memory, room
from jaxprune.devices.platform import platform
from jaxprune.devices.products import product_dtype
from jaxprune.devices.sharding import (
    DATA,
    EVERY,
    MODEL,
    WHOLE,
    MeshFields,
    block_shares,
    block_specs,
    by_rows,
    device_mesh,
    given_mesh,
    mesh_of,
    on_own_rows,
    one_cpu_device_per_core,
    replicated,
    whole,
)

__all__ = [
    "DATA",
    "EVERY",
    "MODEL",
    "WHOLE",
    "MeshFields",
    "available_memory",
    "block_shares",
    "block_specs",
    "by_rows",
    "compiled",
    "compiler_settings",
    "compiling",
    "device_mesh",
    "given_mesh",
    "keep_compiled",
    "mesh_of",
    "on_own_rows",
    "one_cpu_device_per_core",
    "pinned",
    "platform",
    "product_dtype",
    "replicated",
    "room",
    "termination",
    "whole",
]
