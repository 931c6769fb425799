"""The folders of a sweep → the variants that are not finished."""

from collections.abc import Sequence
from pathlib import Path

from jaxprune.config import Config
from jaxprune.errors import InputError
from jaxprune.evaluation.metrics_json import METRICS, read_metrics
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.evaluation.translation import TRANSLATION
from jaxprune.sweeps import plan
from jaxprune.sweeps.plan import Variant


def unfinished(planned: Sequence[Variant], config: Config, workdir: Path) -> list[Variant]:
    """The variants that lack scores in a language in which the dense model, which comes first, has some."""
    known = {one: _languages(workdir, one) for one in planned}
    of_dense = known[planned[0]]
    fields = config.evaluation
    texts = {PERPLEXITY: fields.perplexity, TRANSLATION: fields.translation}
    for folder in (*plan.task_names(config), *(name for name, text in texts.items() if text)):
        if folder not in of_dense:
            raise InputError(
                f"{workdir / planned[0].name}: no scores of {folder}; expected those of every "
                "evaluation, with which all variants are compared"
            )
    own = config.sweep.evaluate == "own"
    return [
        one
        for one in planned
        for languages in [plan.jobs_of(one, of_dense, own=own)]
        if any({*codes} - {*known[one].get(folder, ())} for folder, codes in languages.items())
    ]


def _languages(workdir: Path, variant: Variant) -> dict[str, list[str]]:
    """The languages of each folder of a variant's scores; rejects scores of another variant in its folder."""
    by_folder = {}
    for file in sorted((workdir / variant.name).glob(f"*/{METRICS}")):
        metrics = read_metrics(file.parent)
        if (scored := metrics.get("variant", variant.name)) != variant.name:
            raise InputError(
                f"{file}: scores of the variant {scored}; expected those of {variant.name}"
            )
        by_folder[file.parent.name] = [*metrics.get("languages", {})]
    return by_folder
