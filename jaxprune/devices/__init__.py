"""Devices and processes: the mesh, the layout of arrays on it, exchange between hosts, and their joint end."""

from jaxprune.devices.backend import platform as platform
from jaxprune.devices.compilation import compiling as compiling
from jaxprune.devices.compilation import keep_compiled as keep_compiled
from jaxprune.devices.compiled import compiled as compiled
from jaxprune.devices.compiled import compiler_settings as compiler_settings
from jaxprune.devices.compiled import pinned as pinned
from jaxprune.devices.failure import termination as termination
from jaxprune.devices.memory import available_memory as available_memory
from jaxprune.devices.memory import room as room
from jaxprune.devices.products import product_dtype as product_dtype
from jaxprune.devices.sharding import DATA as DATA
from jaxprune.devices.sharding import EVERY as EVERY
from jaxprune.devices.sharding import MODEL as MODEL
from jaxprune.devices.sharding import WHOLE as WHOLE
from jaxprune.devices.sharding import MeshFields as MeshFields
from jaxprune.devices.sharding import block_shares as block_shares
from jaxprune.devices.sharding import block_specs as block_specs
from jaxprune.devices.sharding import by_rows as by_rows
from jaxprune.devices.sharding import compiled_by_rows as compiled_by_rows
from jaxprune.devices.sharding import device_mesh as device_mesh
from jaxprune.devices.sharding import given_mesh as given_mesh
from jaxprune.devices.sharding import mesh_of as mesh_of
from jaxprune.devices.sharding import on_own_rows as on_own_rows
from jaxprune.devices.sharding import one_cpu_device_per_core as one_cpu_device_per_core
from jaxprune.devices.sharding import replicated as replicated
from jaxprune.devices.sharding import whole as whole
