"""The config of a sweep, and the configs of all commands."""

from collections.abc import Mapping

from jaxprune.analysis import AnalyzeConfig
from jaxprune.config.grid import Grid, grid_field
from jaxprune.devices import MeshFields
from jaxprune.evaluation import EvaluateConfig, EvaluationFields
from jaxprune.passes import CalibrationFields, JobConfig
from jaxprune.pruning import PruningFields
from jaxprune.recovery import FitFields
from jaxprune.runs.planning import OutputFields, PruneConfig, RecoverConfig, ShrinkConfig
from jaxprune.schema import Field, choice, config_record, fields_of, filled, text

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
    recovery: FitFields = FitFields()
    output: OutputFields = OutputFields()
    evaluation: EvaluationFields = EvaluationFields()
    sweep: SweepFields = SweepFields()
    mesh: MeshFields = MeshFields()


# Command → its config, which has the fields that it reads.
COMMANDS: Mapping[str, type[JobConfig]] = {
    "prune": PruneConfig,
    "recover": RecoverConfig,
    "shrink": ShrinkConfig,
    "evaluate": EvaluateConfig,
    "analyze": AnalyzeConfig,
    "sweep": SweepConfig,
}
# Groups of fields and their titles, in the order of --help.
GROUPS = {
    "": "which model, and its dtype and seed",
    "calibration": "the data of the statistics",
    "pruning": "which weights to drop",
    "recovery": "for recover and sweep: fitting the kept weights of a pruned or smaller model",
    "shrink": "for shrink: fewer tokens, layers, neurons",
    "output": "files of a run",
    "analysis": "for analyze",
    "evaluation": "for evaluate and sweep",
    "sweep": "for sweep",
    "mesh": "how devices share the work",
}
_RULES = {path: rule for record in COMMANDS.values() for path, rule in fields_of(record).items()}
# The fields of all commands.
FIELDS: Mapping[str, Field] = {
    path: _RULES[path] for group in GROUPS for path in _RULES if path.rpartition(".")[0] == group
}
