"""The report of a run → a short table for the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxprune.base.text import byte_size, named_values, seconds, table_lines
from jaxprune.base.workdir.json_files import CONFIG, REPORT
from jaxprune.base.workdir.reading import GGUF, OUTPUTS
from jaxprune.pages.facts import run_facts
from jaxprune.pages.smaller_facts import split_table


def print_summary(config: Mapping[str, Any], report: Mapping[str, Any], workdir: Path) -> None:
    """Prints the facts of a run, with its time and memory; of a smaller model also how texts split.

    Args:
      config, report: the content of config.json and report.json.
    """
    times, peaks = report["seconds"], report["peak_memory_bytes"]
    facts = run_facts(config, report)
    if "shrunk" in report:
        lines = named_values({**facts, "seconds": seconds(times["total"]), "written": "hf"})
        if splits := split_table(report["shrunk"]):
            lines += ["", *table_lines(splits)]
        print("\n".join(["", *lines]))
        return
    stages = ", ".join(f"{name} {seconds(t)}" for name, t in times.items() if name != "total")
    written = [name for name in (REPORT, CONFIG, GGUF, *OUTPUTS) if (workdir / name).exists()]
    # of a run in a bucket the workdir is a temporary copy, whose path says nothing
    folder = workdir.name if workdir.is_absolute() else workdir
    rows = {
        "model": config["model"],
        **facts,
        "seconds": f"{seconds(times['total'])} ({stages})",
        "peak memory": ", ".join(f"{name} {byte_size(size)}" for name, size in peaks.items()),
        "written": f"{folder}: {', '.join(written)}",
    }
    print("\n".join(["", *named_values(rows)]))
