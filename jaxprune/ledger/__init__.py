"""A workdir → whose files it holds, of which run, and whether all are as they were written."""

from jaxprune.ledger.identity import agree, difference, run_identity
from jaxprune.ledger.json_files import (
    CONFIG,
    REPORT,
    CalibrationSettings,
    Compiled,
    PruningSettings,
    Report,
    RunConfig,
    ScoreOrigin,
    Sparsity,
)
from jaxprune.ledger.progress import PROGRESS, begun_with, unfinished_run
from jaxprune.ledger.publish import check_workdir, publish
from jaxprune.ledger.workdir import (
    MODEL_DIGEST,
    check_scored_model,
    complete_run,
    file_faults,
    has_card,
    is_complete,
    pruned_digest,
    read_report,
    read_score_origin,
)

__all__ = [
    "CONFIG",
    "MODEL_DIGEST",
    "PROGRESS",
    "REPORT",
    "CalibrationSettings",
    "Compiled",
    "PruningSettings",
    "Report",
    "RunConfig",
    "ScoreOrigin",
    "Sparsity",
    "agree",
    "begun_with",
    "check_scored_model",
    "check_workdir",
    "complete_run",
    "difference",
    "file_faults",
    "has_card",
    "is_complete",
    "pruned_digest",
    "publish",
    "read_report",
    "read_score_origin",
    "run_identity",
    "unfinished_run",
]
