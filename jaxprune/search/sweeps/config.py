"""The config of a sweep."""

from jaxprune.base.schema import choice, config_record, filled, text
from jaxprune.devices.sharding import MeshFields
from jaxprune.evaluation.config import EvaluationFields
from jaxprune.pruning.quantization import QuantizeFields
from jaxprune.pruning.settings import PruningFields
from jaxprune.recovery.config import FitFields
from jaxprune.search.sweeps.grid import Grid, grid_field
from jaxprune.stats.config import CalibrationFields, JobConfig
from jaxprune.steps.configs import OutputFields

# The name of the variant that is not pruned, with which all others are compared.
DENSE = "dense"


@config_record
class SweepFields:
    """The fields `sweep.*`."""

    grid: Grid = grid_field()
    evaluate: str = choice(
        ("all", "own"),
        "all",
        "`all`: evaluate every variant in all languages; `own`: only in English and the languages of its calibration",
    )
    name: str | None = text(
        None,
        "a template such as {calibration.kind}-{pruning.sparsity}",
        "names of the variants: parts with {FIELD} separated by -, without those of fields that a variant does not "
        "read; not set: the values of all axes",
    )


@config_record
class SweepConfig(JobConfig):
    """The config of a sweep: the fields of its variants where the grid does not vary them."""

    calibration: CalibrationFields = filled(CalibrationFields, "stats")
    pruning: PruningFields = PruningFields()
    quantize: QuantizeFields = QuantizeFields()
    recovery: FitFields = FitFields()
    output: OutputFields = OutputFields()
    evaluation: EvaluationFields = EvaluationFields()
    sweep: SweepFields = SweepFields()
    mesh: MeshFields = MeshFields()
