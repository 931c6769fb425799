"""The config of a sweep, and the configs of all commands."""

import re
from collections.abc import Mapping

from jaxprune.analysis import AnalyzeConfig
from jaxprune.calibration import KINDS, MIX, CalibrationFields, languages_field
from jaxprune.devices import MeshFields
from jaxprune.evaluation import EvaluateConfig, EvaluationFields
from jaxprune.pruning import METHODS, PruningFields
from jaxprune.runs.planning import (
    JobConfig,
    OutputFields,
    PruneConfig,
    RecoverConfig,
    ShrinkConfig,
)
from jaxprune.schema import (
    Field,
    are_names,
    choice,
    config_record,
    fields_of,
    filled,
    integer,
    rule,
)

# Variants of a sweep that are not pruned: the dense model, and the one whose hidden states are shifted.
DENSE, LRP2 = "dense", "lrp2"
SWEEP_CALIBRATIONS = (
    DENSE,
    *(name for name, method in METHODS.items() if not method.needs),
    *(name for name, kind in KINDS.items() if kind.reads_text),
    LRP2,
)


_SOURCE = fields_of(CalibrationFields)["source"]


def _are_sparsities(value: object) -> bool:
    parts = value.split(",") if isinstance(value, str) else []
    numbers = [float(part) for part in parts if re.fullmatch(r"0?\.\d+", part)]
    return 0 < len(parts) == len({*numbers}) and all(0 < number < 1 for number in numbers)


def _are_mixtures(value: object) -> bool:
    parts = value.split(",") if isinstance(value, str) else []
    are_sources = all(MIX in part and _SOURCE.passes(part) for part in parts)
    return 0 < len(parts) == len({*parts}) and are_sources


@config_record
class SweepFields:
    """The fields `sweep.*`."""

    sparsities: str = rule(
        "distinct numbers between 0 and 1, such as 0.3,0.5",
        _are_sparsities,
        "0.3",
        meaning="shares of weights to drop, comma-separated (docs/sweep.md)",
    )
    calibrations: str = rule(
        f"a comma-separated list of {', '.join(SWEEP_CALIBRATIONS)}, each at most once",
        lambda value: are_names(value, SWEEP_CALIBRATIONS),
        "dense,random,monolingual,translation,lrp2",
        meaning=f"variants to run, of {', '.join(f'`{name}`' for name in SWEEP_CALIBRATIONS)}",
    )
    languages: str | None = languages_field(
        "languages of the calibrations; not set: those of the data"
    )
    mixtures: str | None = rule(
        "distinct languages joined by +, such as fr+ru+sw; several separated by commas",
        _are_mixtures,
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
