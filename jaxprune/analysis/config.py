"""The config of an analysis."""

from jaxprune.analysis.neurons import SHARE
from jaxprune.analysis.overlap import TOP
from jaxprune.base.schema import config_record, several
from jaxprune.data.config import DemonstrationFields
from jaxprune.data.languages import languages_field
from jaxprune.devices.sharding import MeshFields
from jaxprune.stats.config import JobConfig


@config_record
class AnalysisFields:
    """The fields `analysis.*`."""

    languages: tuple[str, ...] | None = languages_field(
        "codes with commas; default: all languages of a folder; for FLORES the paper's (docs/analysis.md)"
    )
    top: float = TOP
    neurons: float = SHARE
    masks: tuple[str, ...] | None = several(
        "workdirs of pruning runs, as runs/fr,runs/sw",
        ".+",
        meaning="workdirs of pruning runs with commas; their masks are compared",
    )


@config_record
class AnalyzeConfig(JobConfig):
    """The config of an analysis."""

    calibration: DemonstrationFields = DemonstrationFields()
    analysis: AnalysisFields = AnalysisFields()
    mesh: MeshFields = MeshFields()
