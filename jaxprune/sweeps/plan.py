"""The variants of a sweep, and the config of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from jaxprune.calibration import KINDS, MIX, SUM, chosen_languages
from jaxprune.config import DENSE, LRP2, SweepConfig, consistent
from jaxprune.errors import InputError, refusal
from jaxprune.evaluation import protocol_of
from jaxprune.evaluation.scoring import PERPLEXITY, text_languages
from jaxprune.evaluation.tasks import languages_of, load_task
from jaxprune.evaluation.translation import TRANSLATION
from jaxprune.pruning import CODE, METHODS, MethodLike, method_of
from jaxprune.runs.planning import PruneConfig
from jaxprune.schema import part_of
from jaxprune.sweeps.steering import check_steering

# The criterion of each calibration on text: the paper's, or refined with code.
_CRITERION_BY_KIND = {
    name: "refined" if kind.may_hold_code else "wanda"
    for name, kind in KINDS.items()
    if kind.reads_text
}


class Group(NamedTuple):
    """The variants of one row of the tables, which differ in the language only.

    Attributes:
      calibration, sparsity, draw: of all variants.
      mixture: languages of the only variant, if it is calibrated on several.
    """

    calibration: str
    mixture: str | None
    sparsity: float | None
    draw: int | None = None


@dataclass(frozen=True)
class Variant:
    """A model to evaluate.

    Attributes:
      calibration: one of `config.SWEEP_CALIBRATIONS`.
      language: of the calibration text, or those of a mixture, as "fr+ru+sw"; None without calibration text.
      sparsity: None without pruning.
      draw: of the text, from 1; None without text or if there is one draw only.
    """

    calibration: str
    language: str | None = None
    sparsity: float | None = None
    draw: int | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages of the calibration text."""
        return tuple(self.language.split(MIX)) if self.language else ()

    @property
    def name(self) -> str:
        """The name of its folder: dense, random-0.3, translation-fr-0.3, translation-fr-0.3-draw2."""
        sparsity = None if self.sparsity is None else str(self.sparsity)
        draw = None if self.draw is None else f"draw{self.draw}"
        return "-".join(filter(None, (self.calibration, self.language, sparsity, draw)))

    @property
    def group(self) -> Group:
        """Its row of the tables."""
        mixture = self.language if len(self.languages) > 1 else None
        return Group(self.calibration, mixture, self.sparsity, self.draw)

    @property
    def facts(self) -> dict[str, Any]:
        """Its name and attributes, for tables.json."""
        return {"variant": self.name, **vars(self)}

    def serves(self, code: str) -> bool:
        """Whether the paper's tables show this variant in a language: its own, or any if it has none."""
        return not self.languages or code in self.languages


# A row of the tables in each language: a variant, and its comparison with dense.
Figure = TypeVar("Figure")
Shown = Mapping[str, tuple[Variant, Figure]]


def by_row(
    figures: Mapping[Variant, Mapping[str, Figure]], codes: Sequence[str]
) -> dict[Group, Shown[Figure]]:
    """The rows with any figure, those without pruning last; `figures` are those of each variant by language."""
    groups: dict[Group, list[Variant]] = {}
    for one in figures:
        groups.setdefault(one.group, []).append(one)
    order = sorted(
        groups, key=lambda group: (group.sparsity is None, group.sparsity, group.draw or 0)
    )
    rows: dict[Group, Shown[Figure]] = {
        group: {
            code: (variant, figures[variant][code])
            for code in codes
            for variant in groups[group]
            if variant.serves(code) and code in figures[variant]
        }  # one variant at most in each language
        for group in order
    }
    return {group: row for group, row in rows.items() if row}


def variants(config: SweepConfig) -> list[Variant]:
    """All variants; the first is the dense model, with which the others are compared."""
    target = config.calibration.target
    sources = calibration_sources(config)
    sparsities = config.sweep.sparsities
    count = config.sweep.draws
    draws = [*range(1, count + 1)] if count > 1 else [None]
    planned = [Variant(DENSE)]
    for calibration in sorted(config.sweep.calibrations, key=_place):
        if calibration == LRP2:
            planned.append(Variant(LRP2))
        elif calibration in _CRITERION_BY_KIND:
            planned += [
                Variant(calibration, source, sparsity, draw)
                for source in sources
                if target not in source.split(MIX) or not KINDS[calibration].has_target
                for sparsity in sparsities
                for draw in draws
            ]
        elif calibration != DENSE:
            planned += [Variant(calibration, None, sparsity) for sparsity in sparsities]
    return planned


def _place(calibration: str) -> tuple[int, ...]:
    """The place of a calibration in the tables, by its amount of data; LRP2 last."""
    if calibration in (DENSE, LRP2):
        return (0,) if calibration == DENSE else (3,)
    if calibration in _CRITERION_BY_KIND:
        kind = KINDS[calibration]
        return (2, kind.may_hold_code, kind.has_target)
    return (1, "seed" not in METHODS[calibration].options)  # random methods first


def calibration_languages(config: SweepConfig) -> list[str]:
    """`sweep.languages`, or the languages of the data."""
    calibration = config.calibration
    return chosen_languages(config.sweep.languages, calibration.data, calibration.target)


def calibration_sources(config: SweepConfig) -> list[str]:
    """The languages of the calibrations, then mixtures as "fr+ru+sw"."""
    return [*calibration_languages(config), *(config.sweep.mixtures or ())]


def evaluation_languages(config: SweepConfig) -> list[str]:
    """Languages of the evaluation: `evaluation.languages`, or the target and those of the calibrations."""
    if config.evaluation.languages:
        return list(config.evaluation.languages)
    codes = [code for source in calibration_sources(config) for code in source.split(MIX)]
    return list(dict.fromkeys([config.calibration.target, *codes]))


def task_languages(config: SweepConfig) -> dict[str, list[str]]:
    """The evaluated languages of each task, in the order of `evaluation.tasks`.

    Raises:
      InputError: no such task, none named, or none of the languages in it.
    """
    fields = config.evaluation
    by_task: dict[str, list[str]] = {}
    for name in config.evaluation.tasks:
        task = load_task(name)
        available = languages_of(
            task, protocol=protocol_of(fields, config.compat), data=fields.data
        )
        by_task[task.name] = _evaluated_of(available, config, f"task {task.name}")
    if not by_task:
        raise InputError("evaluation.tasks: got ''; allowed: tasks, on which variants are compared")
    return by_task


def task_names(config: SweepConfig) -> list[str]:
    """Names of the tasks, in the order of `evaluation.tasks`."""
    return [load_task(name).name for name in config.evaluation.tasks]


def perplexity_languages(config: SweepConfig) -> list[str]:
    """The evaluated languages of plain text.

    Raises:
      InputError: no such text, or none of the languages in it.
    """
    text = config.evaluation.perplexity
    return _evaluated_of(text_languages(text), config, text) if text else []


def not_evaluated(config: SweepConfig) -> list[str]:
    """A line for each task or text that lacks languages of the evaluation."""
    wanted, found = evaluation_languages(config), task_languages(config)
    if config.evaluation.perplexity:
        found |= {PERPLEXITY: perplexity_languages(config)}
    lacking = {
        name: [code for code in wanted if code not in codes] for name, codes in found.items()
    }
    return [
        f"{name}: not in {', '.join(codes)}, as its data lacks them"
        for name, codes in lacking.items()
        if codes
    ]


def _evaluated_of(available: Sequence[str], config: SweepConfig, where: str) -> list[str]:
    """The evaluated languages that are available `where`; rejects an empty list."""
    wanted = evaluation_languages(config)
    codes = [code for code in wanted if code in available]
    if not codes:
        raise InputError(
            f"evaluation.languages: none of {' '.join(wanted)} in {where}; there are {' '.join(available)}"
        )
    return codes


def jobs(variant: Variant, config: SweepConfig) -> dict[str, list[str]]:
    """The languages in which a variant is evaluated, by folder.

    Tasks and perplexity: the languages of `sweep.evaluate`. Translation: only the languages in which the tables show
    the variant. LRP2, which shifts the hidden states of questions, is evaluated on tasks only.
    """
    by_folder = task_languages(config)
    by_folder[PERPLEXITY] = perplexity_languages(config)
    if config.evaluation.translation:
        target = config.calibration.target
        by_folder[TRANSLATION] = [c for c in evaluation_languages(config) if c != target]
    return jobs_of(variant, by_folder, own=config.sweep.evaluate == "own")


def jobs_of(
    variant: Variant, by_folder: Mapping[str, Sequence[str]], *, own: bool
) -> dict[str, list[str]]:
    """The languages in which a variant is evaluated, by folder.

    Args:
      by_folder: those of the dense model.
      own: whether a variant with text is evaluated in its own languages and English only.
    """
    codes = {"en", *variant.languages} if own and variant.languages else None
    made = {
        folder: [
            code
            for code in languages
            if (variant.serves(code) if folder == TRANSLATION else codes is None or code in codes)
        ]
        for folder, languages in by_folder.items()
        if variant.calibration != LRP2 or folder not in (PERPLEXITY, TRANSLATION)
    }
    return {folder: languages for folder, languages in made.items() if languages}


def variant_config(config: SweepConfig, variant: Variant) -> PruneConfig:
    """The config with which `jaxprune prune` makes a pruned variant.

    Raises:
      InputError: fields that contradict each other, such as a sparsity and an N:M pattern.
    """
    calibration, pruning = config.calibration, config.pruning
    criterion = _criterion(pruning.criterion, variant.calibration)
    start = pruning.start if criterion == pruning.criterion else None
    pruning = replace(pruning, criterion=criterion, start=start, sparsity=variant.sparsity)
    if calibration.weights and len(variant.languages) < 2:  # without effect, and of others
        calibration = replace(calibration, combine=SUM.name, weights=None)
    if variant.draw is not None:
        calibration = replace(calibration, draw=f"{variant.draw}/{config.sweep.draws}")
    if variant.language is not None:
        calibration = replace(calibration, kind=variant.calibration, source=variant.languages)
    changed = replace(config, calibration=calibration, pruning=pruning)
    return consistent(part_of(PruneConfig, changed))


def _criterion(chosen: MethodLike, calibration: str) -> MethodLike:
    """The criterion of a variant: the config's, if it needs the sets of this calibration."""
    if calibration not in _CRITERION_BY_KIND:
        return calibration
    sets = method_of(chosen).sets
    fits = bool(sets) and (CODE in sets) == KINDS[calibration].may_hold_code
    return chosen if fits else _CRITERION_BY_KIND[calibration]


def check_sweep(config: SweepConfig) -> None:
    """Rejects a config that is invalid for a sweep.

    Raises:
      InputError: names the field.
    """
    if config.calibration.draw and config.sweep.draws > 1:
        raise refusal("calibration.draw", config.calibration.draw, "none, with sweep.draws")
    task_languages(config)
    planned = variants(config)
    if len(planned) == 1 and config.sweep.calibrations != (DENSE,):
        raise refusal(
            "sweep.languages",
            ",".join(config.sweep.languages or ()) or None,
            f"others than {config.calibration.target}, the target",
        )
    if Variant(LRP2) in planned:
        check_steering(config)
    for variant in planned:
        if not jobs(variant, config):
            raise refusal(
                "sweep.evaluate",
                config.sweep.evaluate,
                f"all, as {variant.name} would be evaluated in no language",
            )
        if variant.sparsity is None:
            continue
        settings = variant_config(config, variant).settings
        settings.mixture.check(variant.languages)
        if not variant.language and settings.needs_statistics:
            raise refusal(
                "pruning.allocation",
                settings.spread.name,
                f"those without data, as {variant.name} has no text",
            )
