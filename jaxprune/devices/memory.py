"""Available memory of a device and of this host; with several processes, the minimum over them.

The size of a micro-batch depends on free memory and changes bits, so all processes must use the same values.
"""

import ctypes
import re
from pathlib import Path

from jax.sharding import Mesh

from jaxprune.devices import hosts

# cgroup v1 represents "no limit" by a number close to the size of the address space.
_UNLIMITED = 1 << 60


def room(mesh: Mesh) -> tuple[int | None, int | None]:
    """Bytes of a device (None for CPUs) and of a host: the minimum over all processes, which all must call."""
    device = mesh.devices.flat[0]
    limit = None if device.platform == "cpu" else (device.memory_stats() or {}).get("bytes_limit")
    by_process = hosts.gather_json([limit, available_memory()])
    return tuple(
        min((n for n in column if n is not None), default=None)
        for column in zip(*by_process, strict=True)
    )  # type: ignore[return-value]


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still allocate; None if unknown, as on systems other than Linux.

    The minimum of the free memory of the host and of the process's cgroups (version 1 or 2).

    Args:
      root: the folder that contains `proc` and `sys`.
    """
    free = _field(root / "proc/meminfo", r"MemAvailable:\s+(\d+) kB", 1024)
    limits = (free, *_free_in_cgroups(root))
    return min((limit for limit in limits if limit is not None), default=None)


def release_freed() -> None:
    """Returns freed memory to the system; glibc keeps blocks below 32 MB.

    Arrays of a pass differ from those of the next, so what is kept grows from block to block.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)


def _free_in_cgroups(root: Path) -> list[int]:
    """Free bytes of each cgroup of this process and of their parents."""
    groups_file = root / "proc/self/cgroup"
    free = []
    for line in groups_file.read_text().splitlines() if groups_file.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = top / path.strip("/")
        # In a container the path may be the host's, while the mount is the container's own group.
        groups = [group, *group.parents] if group.is_dir() else [top]
        for folder in groups[: groups.index(top) + 1]:
            free += _free_in_group(folder, *names)
    return free


def _free_in_group(group: Path, limit: str, usage: str, cache: str) -> list[int]:
    allowed = _field(group / limit, r"(\d+)")
    used = _field(group / usage, r"(\d+)")
    if allowed is None or used is None or allowed >= _UNLIMITED:
        return []
    # Usage includes cached pages of files, which the kernel drops on demand.
    cached = _field(group / "memory.stat", rf"(?m)^{cache} (\d+)") or 0
    return [max(0, allowed - used + cached)]


def _field(file: Path, pattern: str, unit: int = 1) -> int | None:
    try:
        match = re.search(pattern, file.read_text())
    except OSError:  # missing, or not readable
        return None
    return int(match[1]) * unit if match else None
