"""The languages in which the variants of a sweep are evaluated, by folder of scores, and those that are missing."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jaxprune.base.errors import InputError, refusal
from jaxprune.base.workdir.json_files import EVALUATION
from jaxprune.evaluation.measurements import evaluated_folders, read_evaluation
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY, text_languages
from jaxprune.evaluation.tasks.questions import languages_of, load_task
from jaxprune.evaluation.translation.results import TRANSLATION
from jaxprune.evaluation.workload import protocol_of
from jaxprune.sweeps.config import SweepConfig
from jaxprune.sweeps.variants import SOURCE, Variant

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
      InputError: no such task or text, no task, or one with none of the languages.
    """
    fields = config.evaluation
    languages: dict[str, list[str]] = {}
    for name in fields.tasks:
        task = load_task(name)
        protocol = protocol_of(fields, config.compat)
        available = languages_of(task, protocol=protocol, data=fields.data)
        languages[task.name] = _evaluated_of(available, config, f"task {task.name}")
    if not languages:
        raise InputError("evaluation.tasks: got ''; allowed: tasks, on which variants are compared")
    if text := fields.perplexity:
        languages[PERPLEXITY] = _evaluated_of(text_languages(text), config, text)
    if fields.translation:
        target = config.calibration.target
        languages[TRANSLATION] = [code for code in evaluation_languages(config) if code != target]
    return languages


def _evaluated_of(available: Sequence[str], config: SweepConfig, where: str) -> list[str]:
    wanted = evaluation_languages(config)
    codes = [code for code in wanted if code in available]
    if not codes:
        raise InputError(
            f"evaluation.languages: none of {' '.join(wanted)} in {where}; there are {' '.join(available)}"
        )
    return codes


def not_evaluated(config: SweepConfig, dense: Jobs) -> list[str]:
    """A line for each task or text that lacks languages of the evaluation."""
    wanted = evaluation_languages(config)
    lacking = {
        name: [code for code in wanted if code not in codes]
        for name, codes in dense.items()
        if name != TRANSLATION
    }
    return [
        f"{name}: not in {', '.join(codes)}, as its data lacks them"
        for name, codes in lacking.items()
        if codes
    ]


def jobs(variant: Variant, dense: Jobs, evaluate: str) -> dict[str, list[str]]:
    """The languages in which a variant is evaluated, by folder.

    Args:
      dense: those of the dense model.
      evaluate: `sweep.evaluate`; with "own" a variant with text only in English and its own languages. It translates
        only from its own languages in any case.
    """
    own = variant.languages
    made: dict[str, list[str]] = {}
    for folder, codes in dense.items():
        asked = own if folder == TRANSLATION else ("en", *own) if evaluate == "own" else ()
        made[folder] = [code for code in codes if not own or not asked or code in asked]
    return {folder: codes for folder, codes in made.items() if codes}


def check_jobs(variants: Sequence[Variant], dense: Jobs, evaluate: str) -> None:
    """Rejects a variant without any evaluation."""
    for variant in variants:
        if not jobs(variant, dense, evaluate):
            raise refusal(
                "sweep.evaluate",
                evaluate,
                f"all, as {variant.name} would be evaluated in no language",
            )


def unfinished(
    planned: Sequence[Variant], config: SweepConfig, workdir: Path, digests: Iterable[str]
) -> list[Variant]:
    """The variants that lack scores in one of their languages of the config; rejects a dense model that lacks any.

    Args:
      planned: all variants, the dense model first.
      config: of the sweep.
      workdir: of the sweep; neither the model nor texts need be here.
      digests: names of the inputs in sweep.json, with the folder and the language of each evaluation.
    """
    dense, languages = dict[str, list[str]](), evaluation_languages(config)
    for name in digests:
        folder, _, code = name.rpartition(" ")
        if code in languages:
            dense.setdefault(folder, []).append(code)
    missing = []
    for variant in planned:
        scored = _scored(workdir / variant.name, variant.name)
        for folder, codes in jobs(variant, dense, config.sweep.evaluate).items():
            lacking = [code for code in codes if (folder, code) not in scored]
            if lacking and variant is planned[0]:
                raise InputError(
                    f"{workdir / variant.name}: no scores of {folder} in {' '.join(lacking)}; expected those of "
                    "every evaluation, with which all variants are compared"
                )
            if lacking and variant not in missing:
                missing.append(variant)
    return missing


def _scored(folder: Path, name: str) -> set[tuple[str, str]]:
    """The folders and languages of a variant's scores; rejects scores of another variant in its folder."""
    scored = set()
    for part in evaluated_folders(folder):
        facts = read_evaluation(part)
        if (run := facts.get("run", name)) != name:
            raise InputError(
                f"{part / EVALUATION}: scores of the variant {run}; expected those of {name}"
            )
        scored |= {(part.name, code) for code in facts.get("languages", ())}
    return scored
