"""The plan of a smaller model: its sizes, and the memory and operations that choosing its parts takes."""

import dataclasses

from jaxprune.base.text import byte_size, named_values
from jaxprune.data.kinds import KINDS
from jaxprune.devices.sharding import MeshFields
from jaxprune.hf.model import Model
from jaxprune.hf.weights import size
from jaxprune.models.config import ModelConfig
from jaxprune.shrinking.choose import candidate_tokens, kept_neurons
from jaxprune.shrinking.config import ShrinkFields
from jaxprune.shrinking.texts import RunTexts, read_texts
from jaxprune.steps.configs import ShrinkConfig
from jaxprune.steps.planning import costs
from jaxprune.steps.planning.costs import Work
from jaxprune.steps.planning.plan import (
    blocks_text,
    check_fits,
    groups_of_samples,
    machine_rows,
    machines_of,
    operation_rows,
    planned,
)


def show_shrink_plan(config: ShrinkConfig) -> None:
    """Prints the plan. Splits the texts, and reads no weights.

    Raises:
      InputError: after the table, the run does not fit.
    """
    config.shrink.check_alternatives()
    model, fields = config.open_model(), config.shrink
    texts = read_texts(fields)
    smaller = _smaller(model, fields, texts)
    measured = fields.layers is not None or fields.mlp is not None
    reads_text = measured and KINDS[config.calibration.kind].reads_text
    work = Work(
        config=model.config, groups=groups_of_samples(config) if measured else (), propagate="dense",
        dtype=config.dtype, stored=model.dtype, gram=fields.mlp is not None,
        samples=config.calibration.samples * reads_text, packs=fields.vocabulary is not None,
    )  # fmt: skip
    machines, free = machines_of(MeshFields())
    plan = planned(work, machines, free)
    passes = int(fields.mlp is not None)
    if fields.layers is not None:
        passes += model.config.n_layers - fields.layers if fields.one_by_one else 1
    tokens = (fields.expected or 0) * len(texts.chosen)
    operations = passes * costs.operations(work) + 2 * tokens * size(model.config)
    rows = {
        "model": f"{config.model}: {_sizes(model.config)}, stored as {model.dtype}",
        "smaller": _sizes(smaller),
        **machine_rows(machines, (plan.device, plan.host), free),
        **operation_rows(operations, machines, config.dtype, None),
        "written": byte_size(costs.size_of(model.dtype) * size(smaller)),
    }
    if fields.expected is not None and fields.tokens is None:
        rows["smaller"] += (
            " by the texts alone; the tokens that the model expects in others come on top"
        )
        rows["written"] += " or more"
    print("\n".join(named_values(rows)))
    check_fits(plan)


def _sizes(config: ModelConfig) -> str:
    return f"{blocks_text(config)}, {config.vocab_size:,} tokens"


def _smaller(model: Model, fields: ShrinkFields, texts: RunTexts) -> ModelConfig:
    """The sizes of the smaller model, without the tokens that only the model knows."""
    config, tokens, layers = model.config, model.config.vocab_size, model.config.n_layers
    if texts.chosen:
        tokens = len(candidate_tokens(model, texts.chosen, texts.words, {}).chosen(fields))
    if fields.drop_layers is not None:
        layers -= len(fields.drop_layers)
    neurons = kept_neurons(config, fields) or config.d_ff
    return dataclasses.replace(
        config, vocab_size=tokens, n_layers=fields.layers or layers, d_ff=neurons
    )
