"""A sweep → its estimated operations and time, before any variant is made."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from jaxprune.base.text import named_values
from jaxprune.evaluation.scoring.forest import pack_forests
from jaxprune.evaluation.scoring.options import Encoded, encode_questions
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY, windows_of
from jaxprune.hf.model import Model, load
from jaxprune.runs.planning import costs
from jaxprune.runs.planning.config import PruneConfig
from jaxprune.runs.planning.costs import chip_of
from jaxprune.sweeps.config import SweepConfig
from jaxprune.sweeps.runner import Runner
from jaxprune.sweeps.variants import left_out_lines
from jaxprune.sweeps.workers import shard_of


class SweepPlan(NamedTuple):
    """The estimated operations of a sweep; those of translations and recoveries are not included.

    Attributes:
      variants: number of models, with the dense one.
      left_out: reasons, by invalid product of the axes.
      pruning, evaluation: operations of products, of all variants.
    """

    variants: int
    left_out: Mapping[str, str]
    pruning: float
    evaluation: float


def plan_sweep(config: SweepConfig, workdir: Path, shard: str | None = None) -> SweepPlan:
    """The plan of a sweep.

    Args:
      config: validated; the model is a folder or can be downloaded, as its tokenizer counts the tokens.
      workdir: of the sweep; nothing is written.
      shard: plan this share only, see `shard_of`.

    Raises:
      InputError: as `sweep_from_config`.
    """
    runner = Runner(config, load(config.model, config.revision), workdir)
    variants = runner.variants if shard is None else shard_of(runner.variants, shard)
    pruned = [one.config for one in variants if isinstance(one.config, PruneConfig)]
    tokens = _tokens(runner)
    scored = sum(
        tokens.get((folder, code), 0)
        for variant in variants
        for folder, codes in runner.jobs(variant).items()
        for code in codes
    )
    return SweepPlan(
        variants=len(variants),
        left_out=runner.left_out,
        pruning=sum(costs.flops(runner.plan(one).work) for one in pruned),
        evaluation=2.0 * scored * _products(runner.model),
    )


def _tokens(runner: Runner) -> dict[tuple[str, str], int]:
    """The tokens that a model processes, by folder of scores and language."""
    model, sequences = runner.model, {}
    for one in runner.workload.tasks:
        for code, questions in one.languages.items():
            name = f"{one.task.name} {code}"
            sequences[one.task.name, code] = encode_questions(model, questions, one.protocol, name)
    for code, text in runner.workload.texts.items():
        windows = windows_of(model, model.tokenizer(text, verbose=False)["input_ids"])
        sequences[PERPLEXITY, code] = Encoded(windows, [1] * len(windows))
    return {
        which: sum(len(forest.tokens) * forest.seen for forest in pack_forests(*encoded))
        for which, encoded in sequences.items()
    }


def _products(model: Model) -> int:
    """Multiplications of a token: kernels of all blocks, and the head."""
    config = model.config
    head = config.vocab_size * config.d_model
    return config.n_layers * sum(costs.kernel_sizes(config).values()) + head


def print_sweep_plan(config: SweepConfig, plan: SweepPlan, chip: str | None) -> None:
    """Prints the table of `--plan`, and the products that are left out.

    Raises:
      InputError: `chip` is no name in `CHIPS`.
    """
    rows = {
        "variants": f"{plan.variants} of {config.model}",
        "operations": f"{plan.pruning:.3g} of pruning, {plan.evaluation:.3g} of evaluation, without translations "
        "and recoveries",
    }
    if chip is not None:
        rate = chip_of(chip).flops[config.dtype]
        hours = (plan.pruning + plan.evaluation) / rate / 3600
        rows["time"] = (
            f"at least {hours:.2g} h at the published rate of one {chip}, divided by their number"
        )
    print("\n".join([*left_out_lines(plan.left_out), *named_values(rows)]))
