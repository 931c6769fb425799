"""The folders of a sweep → the variants that are not finished."""

from collections.abc import Sequence
from pathlib import Path

from jaxprune.base.errors import InputError
from jaxprune.base.workdir import EVALUATION
from jaxprune.evaluation import evaluated_folders, read_evaluation
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.evaluation.translation import TRANSLATION
from jaxprune.sweeps.config import SweepConfig
from jaxprune.sweeps.jobs import evaluation_languages, jobs, task_names
from jaxprune.sweeps.sweep_json import begun_sweep
from jaxprune.sweeps.variants import Variant


def unfinished(planned: Sequence[Variant], config: SweepConfig, workdir: Path) -> list[Variant]:
    """The variants that lack scores in one of their languages of the config; rejects a dense model that lacks any.

    Args:
      planned: all variants, the dense model first.
      config: of the sweep.
      workdir: with sweep.json.
    """
    known = {variant.name: _languages(workdir, variant) for variant in planned}
    dense, evaluated = planned[0].name, _evaluated(config, workdir)
    for folder, codes in evaluated.items():
        if lacking := [code for code in codes if code not in known[dense].get(folder, ())]:
            raise InputError(
                f"{workdir / dense}: no scores of {folder} in {' '.join(lacking)}; expected those of every "
                "evaluation, with which all variants are compared"
            )
    return [
        variant
        for variant in planned
        for wanted in [jobs(variant, evaluated, config.sweep.evaluate)]
        if any(
            {*codes} - {*known[variant.name].get(folder, ())} for folder, codes in wanted.items()
        )
    ]


def _evaluated(config: SweepConfig, workdir: Path) -> dict[str, list[str]]:
    """The languages of the config in which the dense model is evaluated, by folder of scores, from sweep.json."""
    fields, digests = config.evaluation, begun_sweep(workdir)["digests"]
    texts = {PERPLEXITY: fields.perplexity, TRANSLATION: fields.translation}
    return {
        folder: [c for c in evaluation_languages(config) if f"{folder} {c}" in digests]
        for folder in (*task_names(config), *(name for name, text in texts.items() if text))
    }


def _languages(workdir: Path, variant: Variant) -> dict[str, list[str]]:
    """The languages of each folder of a variant's scores; rejects scores of another variant in its folder."""
    by_folder = {}
    for folder in evaluated_folders(workdir / variant.name):
        facts = read_evaluation(folder)
        if (scored := facts.get("run", variant.name)) != variant.name:
            raise InputError(
                f"{folder / EVALUATION}: scores of the variant {scored}; expected those of {variant.name}"
            )
        by_folder[folder.name] = [*facts.get("languages", ())]
    return by_folder
