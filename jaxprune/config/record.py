"""The config of all jobs: the fields of each room, and those of sweeps."""

from __future__ import annotations

import re
from collections.abc import Mapping

from jaxprune.analysis import AnalyzeConfig
from jaxprune.calibration import KINDS, MIX, CalibrationFields, languages_field
from jaxprune.evaluation import EvaluateConfig
from jaxprune.pruning import METHODS
from jaxprune.schema import Field, are_names, choice, config_record, fields_of, rule

# Variants of a sweep that are not pruned: the model as it is, and the one whose hidden states are moved.
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
        "numbers between 0 and 1, each once, as 0.3,0.5",
        _are_sparsities,
        "0.3",
        meaning="with commas (docs/sweep.md)",
    )
    calibrations: str = rule(
        f"some of {', '.join(SWEEP_CALIBRATIONS)}, with commas between, each once",
        lambda value: are_names(value, SWEEP_CALIBRATIONS),
        "dense,random,monolingual,translation,lrp2",
        meaning=f"some of {', '.join(f'`{name}`' for name in SWEEP_CALIBRATIONS)}",
    )
    languages: str | None = languages_field(
        "languages of the calibrations; not set: those of the data"
    )
    mixtures: str | None = rule(
        "languages with + between, each once, as fr+ru+sw; several with commas",
        _are_mixtures,
        meaning="calibrations on several languages at once, as `fr+ru+sw,fr+sw`",
    )
    evaluate: str = choice(
        ("all", "own"),
        "all",
        "`all`: every variant is evaluated in all languages; `own`: in English and those of its calibration, if any",
    )


@config_record
class Config(AnalyzeConfig, EvaluateConfig):
    """The config of every job: all fields, checked, by group."""

    sweep: SweepFields = SweepFields()


# Groups of fields and their titles, in the order of --help.
GROUPS = {
    "": "which one, and how it is computed with",
    "calibration": "what is fed through the model",
    "pruning": "which weights are dropped",
    "output": "what a pruning run writes",
    "analysis": "read by analyze",
    "evaluation": "read by evaluate and sweep",
    "sweep": "read by sweep",
    "mesh": "how devices share the work",
}
_RULES = fields_of(Config)
FIELDS: Mapping[str, Field] = {
    path: _RULES[path] for group in GROUPS for path in _RULES if path.rpartition(".")[0] == group
}


def _of(*groups: str) -> list[str]:
    return [path for path in FIELDS if path.rpartition(".")[0] in groups]


_SENTENCES = [f"calibration.{name}" for name in ("target", "data", "lines", "shots")]
_DEMONSTRATIONS = [f"calibration.{name}" for name in ("kind", "samples", "max_length")]
# Command → the fields that it reads. A sweep sets source and sparsity of each variant itself.
READ_BY: Mapping[str, list[str]] = {
    "prune": _of("", "mesh", "calibration", "pruning", "output"),
    "evaluate": [*_of("", "mesh", "evaluation"), *_SENTENCES],
    "analyze": [*_of("", "mesh", "analysis"), *_SENTENCES, *_DEMONSTRATIONS],
    "sweep": [
        path
        for path in FIELDS
        if path not in (*_of("analysis"), "calibration.source", "pruning.sparsity")
    ],
}
