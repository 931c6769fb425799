"""The contents of a workdir. Any part may be missing; an existing part must be intact."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.files.outside import read_json
from jaxprune.base.workdir.json_files import Report
from jaxprune.base.workdir.reading import read_config, read_report
from jaxprune.evaluation.evaluation import Evaluation
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.pages.packed_model import PACKING
from jaxprune.stats.stats import ActivationStats
from jaxprune.steps import checkpoint


class RunFiles(NamedTuple):
    """A workdir.

    Attributes:
      folder: the workdir.
      config: config.json, or the config of an analysis without a run, or empty.
      report: report.json, empty if absent.
      evaluation: evaluation of the model, without parts if there is none.
      stats: statistics of the calibration set, None if absent.
      figures: the pictures of a complete analysis.
      packing: pack.json of a finished packing, empty if absent.
    """

    folder: Path
    config: Mapping[str, Any]
    report: Report
    evaluation: Evaluation
    stats: ActivationStats | None
    figures: Sequence[Path]
    packing: Mapping[str, Any]


def read_files(folder: Path) -> RunFiles:
    """Reads a workdir.

    Raises:
      InputError: the folder does not exist, has nothing to report, or has a broken file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the --workdir of a run")
    evaluation = open_evaluation(folder)
    report = read_report(folder) or {}
    manifest.check_whole(folder / "analysis")
    analysis = read_json(folder / "analysis" / "analysis.json")  # written last
    if not (evaluation.parts or report or analysis):
        raise InputError(
            f"{folder}: nothing to report; expected report.json (jaxprune prune), "
            "<task>/evaluation.json (jaxprune evaluate) or analysis/ (jaxprune analyze)"
        )
    stats = checkpoint.restore_stats(folder / "stats") if (folder / "stats").is_dir() else None
    config = read_config(folder, report) or analysis.get("config", {})
    figures = sorted((folder / "analysis" / "figures").glob("*.png")) if analysis else []
    packing = read_json(folder / PACKING)
    finished = packing if "result" in packing else {}
    return RunFiles(folder, config, report, evaluation, stats, figures, finished)
