"""The contents of a workdir. Any part may be missing; an existing part must be intact."""

from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np

from jaxprune.errors import InputError
from jaxprune.evaluation.metrics_json import METRICS, MetricsFile, is_scored, read_metrics
from jaxprune.files import Share, read_as, read_npz, sealed
from jaxprune.ledger import Report, RunConfig, check_scored_model, read_report
from jaxprune.passes import ActivationStats
from jaxprune.runs import checkpoint

Arrays = dict[str, np.ndarray]


class Summary(TypedDict, total=False):
    """The keys of analysis.json that a page shows; `top` has the `used` share of features that count as largest."""

    top: dict[str, Share]


class Analysis(NamedTuple):
    """The tables of `<workdir>/analysis`, as `jaxprune/analysis/tables.py` writes them; empty if absent.

    Attributes:
      summary: analysis.json.
      magnitudes: magnitudes.npz.
      overlap: overlap.npz.
      masks: masks.npz.
    """

    summary: Summary
    magnitudes: Arrays
    overlap: Arrays
    masks: Arrays


class RunFiles(NamedTuple):
    """A workdir.

    Attributes:
      folder: the workdir.
      config: config.json, empty if absent.
      report: report.json, empty if absent.
      metrics: task → its metrics.json, as JSON values.
      stats: of the calibration, None if absent.
      analysis: the tables of an analysis.
    """

    folder: Path
    config: RunConfig
    report: Report
    metrics: dict[str, MetricsFile]
    stats: ActivationStats | None
    analysis: Analysis

    @property
    def scored(self) -> dict[str, MetricsFile]:
        """The metrics of the tasks with scored options."""
        return {task: metrics for task, metrics in self.metrics.items() if is_scored(metrics)}

    @property
    def options(self) -> dict[str, int]:
        """Task → number of options of a row, for scored tasks whose figures have `chosen`."""
        return {
            task: len(figure["chosen"])
            for task, metrics in self.scored.items()
            for figure in metrics["languages"].values()
            if "chosen" in figure
        }


def read_files(folder: Path) -> RunFiles:
    """Reads a workdir.

    Raises:
      InputError: the folder does not exist, has nothing to report, or has a broken file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the --workdir of a run")
    check_scored_model(folder)
    files = sorted(folder.glob(f"*/{METRICS}"))
    metrics = {file.parent.name: read_metrics(file.parent) for file in files}
    report = read_report(folder) or {}
    sealed.check_whole(folder / "analysis")
    analysis = _analysis(folder / "analysis")
    if not (metrics or report or analysis.summary):
        raise InputError(
            f"{folder}: nothing to report; expected report.json (jaxprune prune), "
            "<task>/metrics.json (jaxprune evaluate) or analysis/ (jaxprune analyze)"
        )
    stats = checkpoint.restore_stats(folder / "stats") if (folder / "stats").is_dir() else None
    config = read_as(RunConfig, folder / "config.json") or {}
    return RunFiles(folder, config, report, metrics, stats, analysis)


def _analysis(folder: Path) -> Analysis:
    summary = read_as(Summary, folder / "analysis.json") or {}  # it is written last
    files = (folder / f"{name}.npz" for name in ("magnitudes", "overlap", "masks"))
    parts = (read_npz(file) if summary and file.is_file() else {} for file in files)
    return Analysis(summary, *parts)
