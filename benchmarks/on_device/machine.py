"""What there is to run on: devices, drivers, versions, and rates of one device."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import timing

from on_device.job import DTYPES

PACKAGES = (
    "jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "jax-rocm7-plugin", "libtpu", "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13", "flax", "orbax-checkpoint", "transformers", "torch", "numpy", "ml_dtypes",
)  # fmt: skip


def machine(job, side, model):
    """What JAX takes by default, and what it can do."""
    import jax
    from jax.extend.backend import get_backend

    from jaxprune.base.version import __version__
    from jaxprune.devices.memory import available_memory
    from jaxprune.devices.products import product_dtype

    devices = jax.local_devices()
    products = {dtype: product_dtype(dtype) for dtype in DTYPES}
    return {
        "platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices),
        "memory_bytes": (devices[0].memory_stats() or {}).get("bytes_limit"),
        "runtime": " ".join(get_backend().platform_version.split()), "driver": _driver(),
        "host": {"cpu": _cpu(), "cores": os.cpu_count(), "memory_bytes": available_memory()},
        "python": platform.python_version(), "jaxprune": __version__, "versions": _versions(),
        "products": products,
    }  # fmt: skip


def rates(job, side, model):
    """What one device does at most: large products, passes through its memory, and what its link brings."""
    import jax

    from jaxprune.devices.products import product_dtype

    sizes, on_cpu = job.sizes, jax.default_backend() == "cpu"
    return {
        "matmul": {
            dtype: timing.matmul_rate(product_dtype(dtype), sizes["product"], sizes["products"])
            for dtype in DTYPES
        },
        "memory": timing.memory_rate(sizes["memory_bytes"]),
        "link": None if on_cpu else timing.link_rate(sizes["link_bytes"]),
    }


def _versions():
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _driver():
    """What nvidia-smi says of driver and memory, where there is one."""
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    told = subprocess.run(query, capture_output=True, text=True, check=False, timeout=30)
    return told.stdout.strip().split("\n")[0] or None


def _cpu():
    info = Path("/proc/cpuinfo")
    named = re.search(r"(?m)^model name\s*: (.*)", info.read_text()) if info.exists() else None
    return named[1] if named else platform.processor() or platform.machine()
