"""The contents of a workdir. Any part may be missing; an existing part must be intact."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxprune.base.errors import InputError
from jaxprune.base.files import sealed
from jaxprune.base.files.arrays import read_npz
from jaxprune.base.files.outside import read_json
from jaxprune.base.workdir.json_files import Report
from jaxprune.base.workdir.reading import read_config, read_report
from jaxprune.evaluation.evaluation import Evaluation
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.runs import checkpoint
from jaxprune.stats.stats import ActivationStats

Arrays = dict[str, np.ndarray]


class Analysis(NamedTuple):
    """The tables of `<workdir>/analysis`, as `jaxprune/analysis/tables.py` writes them; empty if absent.

    Attributes:
      summary: analysis.json.
      magnitudes: magnitudes.npz.
      overlap: overlap.npz.
      masks: masks.npz.
    """

    summary: Mapping[str, Any]
    magnitudes: Arrays
    overlap: Arrays
    masks: Arrays


class RunFiles(NamedTuple):
    """A workdir.

    Attributes:
      folder: the workdir.
      config: config.json, empty if absent.
      report: report.json, empty if absent.
      evaluation: of the model, without parts if there is none.
      stats: of the calibration, None if absent.
      analysis: the tables of an analysis.
    """

    folder: Path
    config: Mapping[str, Any]
    report: Report
    evaluation: Evaluation
    stats: ActivationStats | None
    analysis: Analysis


def read_files(folder: Path) -> RunFiles:
    """Reads a workdir.

    Raises:
      InputError: the folder does not exist, has nothing to report, or has a broken file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the --workdir of a run")
    evaluation = open_evaluation(folder)
    report = read_report(folder) or {}
    sealed.check_whole(folder / "analysis")
    analysis = _analysis(folder / "analysis")
    if not (evaluation.parts or report or analysis.summary):
        raise InputError(
            f"{folder}: nothing to report; expected report.json (jaxprune prune), "
            "<task>/evaluation.json (jaxprune evaluate) or analysis/ (jaxprune analyze)"
        )
    stats = checkpoint.restore_stats(folder / "stats") if (folder / "stats").is_dir() else None
    config = read_config(folder, report)
    return RunFiles(folder, config, report, evaluation, stats, analysis)


def _analysis(folder: Path) -> Analysis:
    summary = read_json(folder / "analysis.json")  # it is written last
    files = (folder / f"{name}.npz" for name in ("magnitudes", "overlap", "masks"))
    parts = (read_npz(file) if summary and file.is_file() else {} for file in files)
    return Analysis(summary, *parts)
