"""What a run tells afterwards: report.json and a short table on the terminal."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from jaxprune.planning import PruneConfig
from jaxprune.runs.records import Compiled
from jaxprune.tables import byte_size, count, named_values, percent, seconds
from jaxprune.version import __version__

VERSIONS = ("jax", "flax", "orbax-checkpoint", "transformers", "numpy")


def environment(mesh: Mesh) -> dict[str, Any]:
    """Versions and devices of this run."""
    device = mesh.devices.flat[0]
    return {
        "jaxprune": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in VERSIONS},
        "devices": f"{mesh.size} x {device.device_kind}",
        "processes": jax.process_count(),
    }


def peak_memory() -> dict[str, int]:
    """Bytes: the largest resident set of this process and, where the backend tells, of each device."""
    peaks = {"host": _peak_resident()}
    for device in jax.local_devices():
        used = (device.memory_stats() or {}).get("peak_bytes_in_use")
        if used is not None:
            peaks[f"device {device.id}"] = used
    return peaks


def _peak_resident() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss would begin at the size of the process that started this one
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss counts KiB, on macOS bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def print_summary(config: PruneConfig, report: Mapping[str, Any], workdir: Path) -> None:
    """The table at the end of a run."""
    pruning, times = config.pruning, report["seconds"]
    how = f"{pruning.criterion} {pruning.pattern}, propagate {pruning.propagate}"
    stages = ", ".join(f"{name} {seconds(t)}" for name, t in times.items() if name != "total")
    tokens = ", ".join(f"{role} {count(number)}" for role, number in report["tokens"].items())
    peaks = report["peak_memory_bytes"]
    overall, layers = report["sparsity"]["overall"], report["sparsity"]["layers"]
    zeros, least, most = (
        f"{percent(share, digits=2)}%" for share in (overall, min(layers), max(layers))
    )
    by_layer = f" (layers {least} to {most})" if least != most else ""
    rows = {
        "model": config.model,
        "pruned": how,
        "sparsity": f"{zeros} of the blocks' kernels{by_layer}",
        "tokens": tokens or "none (this criterion needs no calibration)",
        "seconds": f"{seconds(times['total'])} ({stages})",
        **({"compiled": _compiled(report["compilation"])} if "compilation" in report else {}),
        "peak memory": ", ".join(f"{name} {byte_size(size)}" for name, size in peaks.items()),
        "written": ", ".join(sorted(_written(workdir))),
    }
    print("\n".join(["", *named_values(rows)]))


def _compiled(compilation: Compiled) -> str:
    programs, kept = compilation["programs"], compilation["kept"]
    before = f"; {count(kept)} were kept from before" if kept else ""
    return f"{count(programs)} programs, in {seconds(compilation['seconds'])} s of these{before}"


def _written(workdir: Path) -> list[str]:
    names = ("report.json", "config.json", "checkpoint", "stats", "hf", "figures")
    return [str(workdir / name) for name in names if (workdir / name).exists()]
