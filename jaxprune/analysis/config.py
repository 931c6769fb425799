"""The config of an analysis: the fields of a run and `analysis.*`."""

from jaxprune.analysis.neurons import SHARE
from jaxprune.analysis.overlap import TOP
from jaxprune.calibration import languages_field
from jaxprune.runs.planning import PruneConfig
from jaxprune.schema import config_record, text


@config_record
class AnalysisFields:
    """The fields `analysis.*`."""

    languages: str | None = languages_field(
        "codes with commas; default: all languages of a folder; for FLORES the paper's (docs/analysis.md)"
    )
    top: float = TOP
    neurons: float = SHARE
    masks: str | None = text(
        None,
        "workdirs of pruning runs, as runs/fr,runs/sw",
        "workdirs of pruning runs with commas; their masks are compared",
    )


@config_record
class AnalyzeConfig(PruneConfig):
    """The config of an analysis."""

    analysis: AnalysisFields = AnalysisFields()
