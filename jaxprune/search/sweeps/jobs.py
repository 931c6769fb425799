"""The languages in which a sweep's variants are evaluated, by folder of scores, and the variants that lack some."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxprune.base.errors import InputError
from jaxprune.evaluation.measurements import evaluated_folders, read_evaluation
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY, text_languages
from jaxprune.evaluation.tasks.questions import languages_of, load_task
from jaxprune.evaluation.translation.results import TRANSLATION
from jaxprune.evaluation.workload import protocol_of
from jaxprune.search.sweeps.config import SweepConfig
from jaxprune.search.sweeps.sweep_json import begun_jobs
from jaxprune.search.sweeps.variants import SOURCE, Variant

Jobs = Mapping[str, Sequence[str]]  # folder of scores → languages


def evaluation_languages(config: SweepConfig) -> list[str]:
    """`evaluation.languages`, or the target and the languages of all calibrations."""
    if config.evaluation.languages:
        return list(config.evaluation.languages)
    sources = config.sweep.grid.get(SOURCE, (config.calibration.source,))
    codes = (code for source in sources for code in source)
    return list(dict.fromkeys([config.calibration.target, *codes]))


def dense_jobs(config: SweepConfig) -> dict[str, list[str]]:
    """The languages in which the dense model is evaluated, by folder.

    Raises:
      InputError: no such task or text, nothing to evaluate, or a task with none of the languages.
    """
    fields = config.evaluation
    languages: dict[str, list[str]] = {}
    for name in fields.tasks:
        task = load_task(name)
        protocol = protocol_of(fields, config.compat)
        available = languages_of(task, protocol=protocol, data=fields.data)
        languages[task.name] = _evaluated_of(available, config, f"task {task.name}")
    if text := fields.perplexity:
        languages[PERPLEXITY] = _evaluated_of(text_languages(text), config, text)
    if fields.translation:
        target = config.calibration.target
        languages[TRANSLATION] = [code for code in evaluation_languages(config) if code != target]
    if not languages:
        raise InputError(
            "evaluation: nothing to compare variants on; set evaluation.tasks, perplexity or translation"
        )
    return languages


def _evaluated_of(available: Sequence[str], config: SweepConfig, where: str) -> list[str]:
    wanted = evaluation_languages(config)
    codes = [code for code in wanted if code in available]
    if not codes:
        raise InputError(
            f"evaluation.languages: none of {' '.join(wanted)} in {where}; there are {' '.join(available)}"
        )
    return codes


def jobs(variant: Variant, dense: Jobs, evaluate: str) -> dict[str, list[str]]:
    """The languages in which a variant is evaluated, by folder.

    Args:
      dense: the languages of the dense model.
      evaluate: `sweep.evaluate`; with "own" a variant with text only in English and its own languages. It translates
        only from its own languages in any case.
    """
    own = variant.languages
    by_folder: dict[str, list[str]] = {}
    for folder, codes in dense.items():
        requested = own if folder == TRANSLATION else ("en", *own) if evaluate == "own" else ()
        is_all = not own or not requested
        by_folder[folder] = [code for code in codes if is_all or code in requested]
    return {folder: codes for folder, codes in by_folder.items() if codes}


def unfinished(planned: Sequence[Variant], config: SweepConfig, workdir: Path) -> list[Variant]:
    """The variants that lack scores in one of their languages of the config.

    Args:
      planned: variants of the sweep.
      config: config of the sweep.
      workdir: workdir of the sweep, whose sweep.json names all evaluations; neither the model nor texts need be here.
    """
    wanted, evaluated = evaluation_languages(config), begun_jobs(workdir)
    dense = {
        folder: [code for code in codes if code in wanted] for folder, codes in evaluated.items()
    }
    return [
        variant
        for variant in planned
        for has in [_scored(workdir / variant.name)]
        if any(
            {*codes} - {*has.get(folder, ())}
            for folder, codes in jobs(variant, dense, config.sweep.evaluate).items()
        )
    ]


def _scored(folder: Path) -> dict[str, Sequence[str]]:
    """The languages of a variant's scores, by folder."""
    parts = evaluated_folders(folder)
    return {part.name: read_evaluation(part).get("languages", ()) for part in parts}
