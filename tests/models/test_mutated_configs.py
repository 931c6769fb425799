"""A sample of mutated config.json files of every family, and those that once gave other logits than transformers."""

import functools

import conftest
import mutate_configs
import numpy as np
import pytest
from config_mutations import ABSENT, Mutant

from jaxprune.models.families import FAMILIES

FOUND = [
    (
        "smollm3", "",
        {
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "sliding_window": 5, "use_sliding_window": ABSENT,
        },
        "equal",
    ),
    ("apertus", "", {"rope_parameters": {}}, "equal"),
    (
        "apertus", "",
        {"rope_parameters": ABSENT, "original_max_position_embeddings": 16},
        "rejected",
    ),
    ("gemma3-seeing", "text_config.", {"final_logit_softcapping": 100.0}, "rejected"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "table", "changed", "outcome"), FOUND)
def test_logits_that_once_differed(name, table, changed, outcome, tmp_path):
    raw = mutate_configs.tables(name)[""].raw
    config = Mutant(raw, changed, table).config
    found, details = mutate_configs.outcome(config, tmp_path)
    assert found == outcome, details
    assert outcome == "equal" or any(attribute in details for attribute in changed)


def test_rounding_explains_small_differences_only():
    """1e-4 as usual; at most a thousandth of the logits, however much they change with a rounding error."""
    model = conftest.random_torch(mutate_configs.BASES["llama"]())
    _, logits = mutate_configs.logits_of_torch(model)
    trial = functools.partial(mutate_configs.nudged_torch, model)
    assert mutate_configs.tolerance(logits, trial) == 1e-4
    assert mutate_configs.tolerance(logits, lambda: logits + 1) == pytest.approx(
        1e-3 * np.abs(logits).max()
    )


@pytest.mark.wrong_types
def test_mutated_configs_give_equal_logits_or_are_rejected():
    assert {base().model_type for base in mutate_configs.BASES.values()} == set(FAMILIES)
    cases = list(mutate_configs.results(0, range(2 * len(mutate_configs.BASES))))
    assert not [details for _, found, details in cases if found == "finding"]
    assert sum(found == "equal" for _, found, _ in cases) > 5
