"""The environment of a job: versions, devices, memory."""

import importlib.metadata
import platform
import re
import resource
import sys
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from jaxprune.base.version import __version__


def environment(mesh: Mesh) -> dict[str, Any]:
    """Versions and devices of this run."""
    device = mesh.devices.flat[0]
    packages = ("jax", "flax", "orbax-checkpoint", "transformers", "numpy")
    return {
        "jaxprune": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "devices": f"{mesh.size} x {device.device_kind}",
        "processes": jax.process_count(),
    }


def peak_memory() -> dict[str, int]:
    """Bytes: the largest resident set of this process and, if the backend reports it, of each device."""
    peaks = {"host": _peak_resident()}
    for device in jax.local_devices():
        used = (device.memory_stats() or {}).get("peak_bytes_in_use")
        if used is not None:
            peaks[f"device {device.id}"] = used
    return peaks


def _peak_resident() -> int:
    status = Path("/proc/self/status")
    # ru_maxrss starts at the size of the parent process; but gVisor has no VmHWM
    if status.exists() and (match := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(match[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss counts KiB, on macOS bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
