"""The config of a sweep, and the configs of all commands."""

from collections.abc import Mapping

from jaxprune.analysis import AnalyzeConfig
from jaxprune.calibration import KINDS, LANGUAGES, languages_field
from jaxprune.devices import MeshFields
from jaxprune.evaluation import EvaluateConfig, EvaluationFields
from jaxprune.passes import CalibrationFields, JobConfig
from jaxprune.pruning import METHODS, PruningFields
from jaxprune.runs.planning import OutputFields, PruneConfig, RecoverConfig, ShrinkConfig
from jaxprune.schema import Field, choice, config_record, fields_of, filled, integer, several

# Variants of a sweep that are not pruned: the dense model, and the one whose hidden states are shifted.
DENSE, LRP2 = "dense", "lrp2"
SWEEP_CALIBRATIONS = (
    DENSE,
    *(name for name, method in METHODS.items() if not method.needs),
    *(name for name, kind in KINDS.items() if kind.reads_text),
    LRP2,
)
_CODE = f"({'|'.join(LANGUAGES)})"
# several languages, each once
_MIXTURE = rf"(?!.*\b(\w+)\b.*\b\1\b){_CODE}(\+{_CODE})+"


@config_record
class SweepFields:
    """The fields `sweep.*`."""

    sparsities: tuple[float, ...] = several(
        "distinct numbers between 0 and 1, such as 0.3,0.5",
        r"0?\.\d*[1-9]\d*",
        "0.3",
        "shares of weights to drop, comma-separated (docs/sweep.md)",
        kind=float,
    )
    calibrations: tuple[str, ...] = several(
        f"a comma-separated list of {', '.join(SWEEP_CALIBRATIONS)}, each at most once",
        SWEEP_CALIBRATIONS,
        "dense,random,monolingual,translation,lrp2",
        meaning=f"variants to run, of {', '.join(f'`{name}`' for name in SWEEP_CALIBRATIONS)}",
    )
    languages: tuple[str, ...] | None = languages_field(
        "languages of the calibrations; not set: those of the data"
    )
    mixtures: tuple[str, ...] | None = several(
        "distinct languages joined by +, such as fr+ru+sw; several separated by commas",
        _MIXTURE,
        meaning="calibrations on several languages at once, such as `fr+ru+sw,fr+sw`",
    )
    draws: int = integer(
        1,
        1,
        "disjoint parts of text and code (`calibration.draw`); each makes all variants with text",
    )
    evaluate: str = choice(
        ("all", "own"),
        "all",
        "`all`: evaluate every variant in all languages; `own`: only in English and the languages of its calibration",
    )


@config_record
class SweepConfig(JobConfig):
    """The config of a sweep, which fills in the kind, the source and the sparsity of each variant."""

    calibration: CalibrationFields = filled(CalibrationFields, "kind", "source", "stats")
    pruning: PruningFields = filled(PruningFields, "sparsity")
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
    "recovery": "for recover: fitting the kept weights of a pruned or smaller model",
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
