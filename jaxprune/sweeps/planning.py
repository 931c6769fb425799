"""A sweep → its estimated operations, time, memory and bytes, before any variant is made."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxprune.base.text import byte_size, named_values
from jaxprune.evaluation.scoring.forest import pack_forests
from jaxprune.evaluation.scoring.options import Encoded, encode_questions
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY, windows_of
from jaxprune.hf.model import Model, load
from jaxprune.runs.planning import costs
from jaxprune.runs.planning.config import PruneConfig
from jaxprune.runs.planning.plan import plan_from_config
from jaxprune.sweeps.config import SweepConfig
from jaxprune.sweeps.runner import Runner
from jaxprune.sweeps.variants import left_out_lines
from jaxprune.sweeps.workers import shard_of


@dataclass(frozen=True)
class SweepPlan:
    """The estimated costs of a sweep; those of translations and recoveries are not included.

    Attributes:
      variants: number of models, with the dense one.
      left_out: reasons, by invalid product of the axes.
      pruning, evaluation: operations of products, of all variants.
      device, host: most bytes of a pruning run on each device, and of a process.
      written: bytes of all masks and outputs.
    """

    variants: int
    left_out: Mapping[str, str]
    pruning: float
    evaluation: float
    device: int
    host: int
    written: int


def plan_sweep(config: SweepConfig, workdir: Path, shard: str | None = None) -> SweepPlan:
    """The plan of a sweep on the devices of this machine.

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
    runs = [plan_from_config(one) for one in pruned]
    works = [
        dataclasses.replace(run.work, groups=costs.groups_of(runner.sets.batches(one)))
        for one, run in zip(pruned, runs, strict=True)
    ]
    tokens = _tokens(runner)
    scored = sum(
        tokens[folder, code]
        for variant in variants
        for folder, codes in runner.jobs(variant).items()
        for code in codes
        if (folder, code) in tokens
    )
    return SweepPlan(
        variants=len(variants),
        left_out=runner.left_out,
        pruning=sum(map(costs.operations, works)),
        evaluation=2.0 * scored * _products(runner.model),
        device=max((sum(run.device.values()) for run in runs), default=0),
        host=max((sum(run.host.values()) for run in runs), default=0),
        written=sum(map(costs.bytes_written, works)),
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


def print_sweep_plan(config: SweepConfig, plan: SweepPlan) -> None:
    """Prints the table of `--plan`, and the products that are left out."""
    rows = {
        "variants": f"{plan.variants} of {config.model}",
        "operations": f"{plan.pruning:.3g} of pruning, {plan.evaluation:.3g} of evaluation, without translations "
        "and recoveries",
        "memory": f"{byte_size(plan.device)} on each device, {byte_size(plan.host)} on each host, while pruning",
        "written": byte_size(plan.written),
    }
    print("\n".join([*left_out_lines(plan.left_out), *named_values(rows)]))
