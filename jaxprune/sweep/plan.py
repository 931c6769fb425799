"""Which variants of a model a sweep makes, and the config of each."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from ml_collections import ConfigDict, FrozenConfigDict

from jaxprune.calibration import KINDS, chosen_languages
from jaxprune.config import DENSE, FIELDS, LRP2, validate
from jaxprune.errors import InputError, refusal
from jaxprune.evaluation import protocol_of
from jaxprune.evaluation.tasks import languages_of, load_task
from jaxprune.evaluation.translation import TRANSLATION
from jaxprune.pruning import CODE, CRITERIA

# How weights are scored that see text of one language: by the first criterion that compares what the kind holds.
_OF_A_LANGUAGE = {
    name: next(
        criterion.name
        for criterion in CRITERIA.values()
        if criterion.measures and (CODE in criterion.measures) == kind.may_hold_code
    )
    for name, kind in KINDS.items()
    if kind.reads_text
}


@dataclass(frozen=True)
class Variant:
    """A model that is evaluated.

    Attributes:
      calibration: one of `config.SWEEP_CALIBRATIONS`.
      language: of the calibration text; None where the variant belongs to none.
      sparsity: None where nothing is pruned.
    """

    calibration: str
    language: str | None = None
    sparsity: float | None = None

    @property
    def name(self) -> str:
        """Of its folder: dense, random-0.3, translation-fr-0.3."""
        sparsity = None if self.sparsity is None else f"{self.sparsity:g}"
        return "-".join(filter(None, (self.calibration, self.language, sparsity)))

    def serves(self, code: str) -> bool:
        """Whether the paper's tables show this variant for a language: its own, or any if it has none."""
        return self.language in (None, code)


def variants(config: ConfigDict) -> list[Variant]:
    """All variants, the dense one first: what others are compared with."""
    target = config.calibration.target
    codes = calibration_languages(config)
    sparsities = [float(number) for number in config.sweep.sparsities.split(",")]
    planned = [Variant(DENSE)]
    for calibration in sorted(config.sweep.calibrations.split(","), key=_place):
        if calibration == LRP2:
            planned.append(Variant(LRP2))
        elif calibration in _OF_A_LANGUAGE:
            planned += [
                Variant(calibration, code, sparsity)
                for code in codes
                if code != target or not KINDS[calibration].translates
                for sparsity in sparsities
            ]
        elif calibration != DENSE:
            planned += [Variant(calibration, None, sparsity) for sparsity in sparsities]
    return planned


def _place(calibration: str) -> tuple[int, ...]:
    """Of a calibration in the tables, whatever the order in the config: by how much of the data it sees; LRP2 last."""
    if calibration in (DENSE, LRP2):
        return (0,) if calibration == DENSE else (3,)
    if calibration in _OF_A_LANGUAGE:
        kind = KINDS[calibration]
        return (2, kind.may_hold_code, kind.translates)
    return (1, "seed" not in CRITERIA[calibration].options)  # what is drawn, then what is computed


def calibration_languages(config: ConfigDict) -> list[str]:
    """Languages that are calibrated with: `sweep.languages`, or those of the calibration data."""
    calibration = config.calibration
    return chosen_languages(config.sweep.languages, calibration.data, calibration.target)


def evaluation_languages(config: ConfigDict) -> list[str]:
    """Languages that are evaluated: `evaluation.languages`, or the target and those of the calibrations."""
    if config.evaluation.languages:
        return list(config.evaluation.languages.split(","))
    return list(dict.fromkeys([config.calibration.target, *calibration_languages(config)]))


def task_languages(config: ConfigDict) -> dict[str, list[str]]:
    """By task, in the order of `evaluation.tasks`: those languages to be evaluated that it has.

    Raises:
      InputError: no such task, none named, one named twice, or none of the languages in it.
    """
    fields = config.evaluation
    by_task: dict[str, list[str]] = {}
    for name in (name.strip() for name in fields.tasks.split(",") if name.strip()):
        task = load_task(name)
        available = languages_of(task, protocol=protocol_of(config), data=fields.data)
        codes = [code for code in evaluation_languages(config) if code in available]
        if not codes:
            raise InputError(
                f"evaluation.languages: none of {' '.join(evaluation_languages(config))} in task "
                f"{task.name}; there are {' '.join(available)}"
            )
        if task.name in (*by_task, TRANSLATION):
            raise InputError(f"evaluation.tasks: {task.name!r} is there twice; allowed: once")
        by_task[task.name] = codes
    if not by_task:
        raise InputError("evaluation.tasks: got ''; allowed: tasks, on which variants are compared")
    return by_task


def jobs(variant: Variant, config: ConfigDict) -> dict[str, list[str]]:
    """What a variant is evaluated on: folder → languages.

    All tasks in all languages; translation from those languages only that the tables show it for.
    """
    by_folder = task_languages(config)
    target = config.calibration.target
    codes = [c for c in evaluation_languages(config) if c != target and variant.serves(c)]
    if config.evaluation.translation and codes and variant.calibration != LRP2:
        by_folder[TRANSLATION] = codes
    return by_folder


def variant_config(config: ConfigDict, variant: Variant) -> FrozenConfigDict:
    """What scripts/prune.py would be told to make this variant.

    Raises:
      InputError: fields that contradict each other, such as a sparsity and an N:M pattern.
    """
    fields: dict[str, Any] = {
        path: field.default for path, field in FIELDS.items() if path.startswith("sweep.")
    }
    if variant.sparsity is not None:
        calibration = variant.calibration
        fields["pruning.criterion"] = _OF_A_LANGUAGE.get(calibration, calibration)
        fields["pruning.sparsity"] = variant.sparsity
    if variant.language is not None:
        fields["calibration.kind"] = variant.calibration
        fields["calibration.source"] = variant.language
    of_variant = ConfigDict(config.to_dict())
    with of_variant.ignore_type():
        of_variant.update_from_flattened_dict(fields)
    return validate(of_variant, prunes=variant.sparsity is not None)


def check_sweep(config: ConfigDict) -> None:
    """Refuses a config that no sweep can be made of.

    Raises:
      InputError: names the field.
    """
    if not KINDS[config.calibration.kind].reads_text:
        raise refusal(
            "calibration.kind",
            config.calibration.kind,
            "any other, as a sweep makes demonstrations from sentences in calibration.data",
        )
    if config.evaluation.perplexity:
        raise refusal("evaluation.perplexity", config.evaluation.perplexity, "nothing, in a sweep")
    task_languages(config)
    for variant in variants(config):
        variant_config(config, variant)


def flat(config: ConfigDict) -> dict[str, Any]:
    """The fields by path, as JSON has them."""
    return {path: functools.reduce(getattr, path.split("."), config) for path in FIELDS}
