"""The report of a run → a short table for the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxprune.base.text import byte_size, named_values, seconds
from jaxprune.base.workdir.json_files import CONFIG, REPORT
from jaxprune.base.workdir.reading import GGUF, OUTPUTS
from jaxprune.runs.facts import run_facts
from jaxprune.runs.planning.config import BlocksConfig


def print_summary(config: BlocksConfig, report: Mapping[str, Any], workdir: Path) -> None:
    """Prints the facts of a pruning or a recovery, with its time and memory."""
    times, peaks = report["seconds"], report["peak_memory_bytes"]
    stages = ", ".join(f"{name} {seconds(t)}" for name, t in times.items() if name != "total")
    written = [name for name in (REPORT, CONFIG, GGUF, *OUTPUTS) if (workdir / name).exists()]
    # of a run in a bucket the workdir is a temporary copy, whose path says nothing
    folder = workdir.name if workdir.is_absolute() else workdir
    rows = {
        "model": config.model,
        **run_facts(config.json(), report),
        "seconds": f"{seconds(times['total'])} ({stages})",
        "peak memory": ", ".join(f"{name} {byte_size(size)}" for name, size in peaks.items()),
        "written": f"{folder}: {', '.join(written)}",
    }
    print("\n".join(["", *named_values(rows)]))
