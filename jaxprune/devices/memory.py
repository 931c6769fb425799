"""Available memory: of a device, and of this host for this process; with several processes, the least of all.

What depends on free memory, such as the size of a micro-batch, changes bits, so all processes must see the same.
"""

from __future__ import annotations

import re
import resource
from pathlib import Path

from jax.sharding import Mesh

from jaxprune.devices import hosts

# cgroup v1 says "no limit" with a number about as large as there are addresses.
_UNLIMITED = 1 << 60


def room(mesh: Mesh) -> tuple[int | None, int | None]:
    """Bytes of a device, on CPUs None, and of a host; the least of all processes, which all must ask."""
    device = mesh.devices.flat[0]
    limit = None if device.platform == "cpu" else (device.memory_stats() or {}).get("bytes_limit")
    of_all = hosts.gather_json([limit, available_memory()])
    return tuple(
        min((n for n in column if n is not None), default=None)
        for column in zip(*of_all, strict=True)
    )  # type: ignore[return-value]


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still take, where Linux tells.

    The least of what the host has free, what the process's cgroups (of version 1 or 2) leave, and what is left of
    its address space.

    Args:
      root: where `proc` and `sys` lie.
    """
    free = _field(root / "proc/meminfo", r"MemAvailable:\s+(\d+) kB", 1024)
    known = (free, *_of_cgroups(root), _of_addresses(root))
    return min((left for left in known if left is not None), default=None)


def _of_addresses(root: Path) -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _field(root / "proc/self/status", r"VmSize:\s+(\d+) kB", 1024)
    return None if limit == resource.RLIM_INFINITY or used is None else max(0, limit - used)


def _of_cgroups(root: Path) -> list[int]:
    """Bytes left by each cgroup that this process is in, and by the groups around it."""
    listed = root / "proc/self/cgroup"
    left = []
    for line in listed.read_text().splitlines() if listed.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = top / path.strip("/")
        # in a container the path may be that of the host, and the mount the container's own group
        groups = [group, *group.parents] if group.is_dir() else [top]
        for folder in groups[: groups.index(top) + 1]:
            left += _left_of(folder, *names)
    return left


def _left_of(group: Path, limit: str, usage: str, cache: str) -> list[int]:
    allowed = _field(group / limit, r"(\d+)")
    used = _field(group / usage, r"(\d+)")
    if allowed is None or used is None or allowed >= _UNLIMITED:
        return []
    # pages of files that nobody reads are counted, and go when memory is wanted
    cached = _field(group / "memory.stat", rf"(?m)^{cache} (\d+)") or 0
    return [max(0, allowed - used + cached)]


def _field(file: Path, pattern: str, unit: int = 1) -> int | None:
    try:
        match = re.search(pattern, file.read_text())
    except OSError:  # not there, or not for us
        return None
    return int(match[1]) * unit if match else None
