"""All fields of a run, by path: those that each room declares, and those of sweeps."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

from jaxprune import analysis, calibration, devices, evaluation, hf, pruning, runs
from jaxprune.calibration import COMPAT, KINDS, SEED, languages_field
from jaxprune.passes import DTYPE
from jaxprune.pruning import METHODS
from jaxprune.schema import Field, choice, names

# Variants of a sweep that are not pruned: the model as it is, and the one whose hidden states are moved.
DENSE, LRP2 = "dense", "lrp2"
# Between the languages of a mixture, where commas stand between mixtures.
MIX = "+"
# What a variant of a sweep that is calibrated on text is asked in: all languages, or English and its own.
EVALUATE = ("all", "own")
SWEEP_CALIBRATIONS = (
    DENSE,
    *(name for name, method in METHODS.items() if not method.needs),
    *(name for name, kind in KINDS.items() if kind.reads_text),
    LRP2,
)


_MOST_CHOICES = 10  # languages are too many to list
_WIDTH, _IN = 100, " " * 6  # of --help, and of what stands below a field there


def _are_sparsities(value: object) -> bool:
    parts = value.split(",") if isinstance(value, str) else []
    numbers = [float(part) for part in parts if re.fullmatch(r"0?\.\d+", part)]
    return 0 < len(parts) == len({*numbers}) and all(0 < number < 1 for number in numbers)


def _are_mixtures(value: object) -> bool:
    parts = value.split(",") if isinstance(value, str) else []
    are_sources = all(
        MIX in part and calibration.FIELDS["source"].passes(part.replace(MIX, ","))
        for part in parts
    )
    return value is None or (0 < len(parts) == len({*parts}) and are_sources)


SWEEP: Mapping[str, Field] = {
    "sparsities": Field(
        "numbers between 0 and 1, each once, as 0.3,0.5",
        _are_sparsities,
        "0.3",
        meaning="with commas (docs/sweep.md)",
    ),
    "calibrations": Field(
        f"some of {', '.join(SWEEP_CALIBRATIONS)}, with commas between, each once",
        lambda value: names(value, SWEEP_CALIBRATIONS),
        "dense,random,monolingual,translation,lrp2",
        meaning=f"some of {', '.join(f'`{name}`' for name in SWEEP_CALIBRATIONS)}",
    ),
    "languages": languages_field("languages of the calibrations; not set: those of the data"),
    "mixtures": Field(
        "languages with + between, each once, as fr+ru+sw; several with commas",
        _are_mixtures,
        meaning="calibrations on several languages at once, as `fr+ru+sw,fr+sw`",
    ),
    "evaluate": choice(
        EVALUATE,
        "all",
        "`all`: every variant is evaluated in all languages; `own`: in English and those of its calibration, if any",
    ),
}


def _group(name: str, fields: Mapping[str, Field]) -> dict[str, Field]:
    return {f"{name}.{key}": field for key, field in fields.items()}


FIELDS: Mapping[str, Field] = {
    **hf.FIELDS,
    "dtype": DTYPE,
    "compat": COMPAT,
    "seed": SEED,
    **_group("calibration", calibration.FIELDS),
    **_group("pruning", pruning.FIELDS),
    **_group("output", runs.FIELDS),
    **_group("analysis", analysis.FIELDS),
    **_group("evaluation", evaluation.FIELDS),
    **_group("sweep", SWEEP),
    **_group("mesh", devices.FIELDS),
}


# Groups of fields and what they are of, as `--help` has them.
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


def as_markdown() -> str:
    """The fields as a Markdown table, as the README has it."""
    lines = ["| field | default | meaning |", "| --- | --- | --- |"]
    for path, field in FIELDS.items():
        default = "" if field.default is None else f"`{field.default}`".replace("True", "true")
        lines.append(f"| `{path}` | {default.replace('False', 'false')} | {_told(field)} |")
    return "\n".join(lines) + "\n"


def _told(field: Field) -> str:
    """The meaning, after the values to choose from where it does not name them itself."""
    names = [f"`{name}`" for name in field.choices]
    if len(names) > _MOST_CHOICES or all(name in field.meaning for name in names):
        return field.meaning
    return f"{', '.join(names)}: {field.meaning}"


def as_text() -> str:
    """The same for a terminal, in groups: what `--help` says of `--config.FIELD=VALUE`."""
    lines = []
    for group, about in GROUPS.items():
        lines += ["", f"{group or 'model'}: {about}"]
        for path, field in FIELDS.items():
            if path.rpartition(".")[0] == group:
                default = "" if field.default is None else f" (default: {field.default})".lower()
                lines.append(f"  --config.{path}: {field.allowed}{default}")
                lines += textwrap.wrap(
                    field.meaning, _WIDTH, initial_indent=_IN, subsequent_indent=_IN
                )
    return "\n".join(lines[1:]).replace("`", "") + "\n"
