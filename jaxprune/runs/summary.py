"""The report of a run → a short table for the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxprune.files import shown_path
from jaxprune.ledger import CONFIG, OUTPUTS, REPORT, Compiled
from jaxprune.pruning import UNIFORM, allocation_of
from jaxprune.runs.facts import damped_sites, mean_loss
from jaxprune.runs.planning import BlocksConfig
from jaxprune.tables import by_layer, byte_size, count, named_values, percent, seconds


def print_summary(config: BlocksConfig, report: Mapping[str, Any], workdir: Path) -> None:
    """The table at the end of a run."""
    pruning, times = config.pruning, report["seconds"]
    how = f"{pruning.criterion} {pruning.pattern}, propagate {pruning.propagate}"
    if (spread := allocation_of(pruning.allocation)) is not UNIFORM:
        how += f", allocation {spread.name}"
    stages = ", ".join(f"{name} {seconds(t)}" for name, t in times.items() if name != "total")
    tokens = ", ".join(f"{role} {count(number)}" for role, number in report["tokens"].items())
    peaks = report["peak_memory_bytes"]
    overall, layers = report["sparsity"]["overall"], report["sparsity"]["layers"]
    zeros, differ = f"{percent(overall, digits=2)}%", by_layer(layers)
    ignored = report.get("allocation", {}).get("ignored")
    patterns = ",".join(pruning.ignore or ())
    written = [name for name in (REPORT, CONFIG, *OUTPUTS) if (workdir / name).exists()]
    raised, loss = list(damped_sites(report)), mean_loss(report)
    rows = {
        "model": config.model,
        "pruned": how,
        "sparsity": f"{zeros} of the blocks' kernels" + (f", {differ}" if differ else ""),
        **({"ignored": f"{len(ignored)} kernels, {patterns}"} if ignored else {}),
        **({"damping": f"raised at {', '.join(raised)}"} if raised else {}),
        **({"recovered": loss} if loss else {}),
        "tokens": tokens or "none (this criterion needs no calibration)",
        "seconds": f"{seconds(times['total'])} ({stages})",
        "compiled": _compiled(report["compilation"]),
        "peak memory": ", ".join(f"{name} {byte_size(size)}" for name, size in peaks.items()),
        "written": ", ".join(sorted(shown_path(workdir / name) for name in written)),
    }
    print("\n".join(["", *named_values(rows)]))


def _compiled(compilation: Compiled) -> str:
    programs, kept = compilation["programs"], compilation["kept"]
    before = f", {count(kept)} of them cached" if kept else ""
    return f"{count(programs)} programs in {seconds(compilation['seconds'])} s of these{before}"
