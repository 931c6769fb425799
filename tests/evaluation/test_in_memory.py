"""`jp.evaluate` and `jp.compare` against what the jobs of the scripts write and read back."""

import numpy as np
import pytest
from evaluated import evaluation_job

import jaxprune as jp
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs.evaluate import evaluate_from_config

ASKED = {
    "tasks": "nano_nli,nano_reviews", "languages": "en,fr,sw", "rows": 12, "perplexity": "nano",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Evaluations: of the dense model as the job of scripts/evaluate.py writes it and in memory, of a pruned one."""
    folder = tmp_path_factory.mktemp("runs") / "dense"
    model = jp.load(CHECKPOINTS["bloom"])
    keep = jp.masks.keep(jp.scores.magnitude(model.params), sparsity=0.6)
    evaluate_from_config(evaluation_job(**ASKED), folder)
    found = [
        jp.evaluate(one, **ASKED, progress=False, name=name)
        for name, one in (
            ("dense", model),
            ("pruned", model.replace(jp.masks.apply(model.params, keep))),
        )
    ]
    return folder, *found


def test_measurements_and_scores_are_those_of_the_job(made):
    written, found = open_evaluation(made[0]), made[1]
    assert found.tasks == ["nano_nli", "nano_reviews"]
    assert figures(found) == figures(written)
    for task in found.tasks:
        for key in ("labels", "protocol", "data", "parallel", "identity", "languages"):
            assert found.parts[task].facts[key] == written.parts[task].facts[key]
        for code, scored in found.scored(task).items():
            for name, array in written.scored(task)[code]._asdict().items():
                np.testing.assert_array_equal(getattr(scored, name), array)
    for code, text in found.perplexities.items():
        for ours, theirs in zip(text, written.perplexities[code], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def figures(evaluation):
    """The measurements without the names of run and model."""
    return [row[2:] for row in evaluation.measurements]


def test_comparisons_are_those_of_the_folders(made):
    folder, dense, pruned = made
    want = jp.compare(dense, pruned)
    values = {(row.task, row.language, row.measure): row.difference for row in want.changes}
    assert values["nano_nli", "fr", "accuracy"] != 0
    assert values["perplexity", "sw", "perplexity"] > 0.01
    for one in (folder, str(folder)):
        assert jp.compare(one, pruned).changes == want.changes


def test_perplexity_alone(tmp_path):
    (tmp_path / "fr.txt").write_text("le chat dort\nle chien mange\nla femme lit\n")
    model = jp.load(CHECKPOINTS["bloom"])
    found = jp.evaluate(model, perplexity=tmp_path, perplexity_lines="0-1", progress=False)
    assert (found.tasks, found.name) == ([], "bloom")
    whole = model.tokenizer("le chat dort\nle chien mange")["input_ids"]
    logits = np.asarray(jp.forward(model.config, model.params, np.array([whole])), np.float64)[0]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    mean = np.mean([log_p[i, token] for i, token in enumerate(whole[1:])])
    assert found.perplexities["fr"].perplexity == pytest.approx(np.exp(-mean), rel=1e-5)
    assert found.table.loc["perplexity", "fr"].perplexity == found.perplexities["fr"].perplexity


BAD = {
    "nothing": ({}, "evaluation.tasks: none; expected tasks, evaluation.perplexity"),
    "no names": ({"tasks": 3}, "tasks: got 3; expected names of ready tasks or .toml files, separated by commas"),
    "dtype": ({"dtype": "int8"}, "dtype: got 'int8'; expected float32, bfloat16"),
    "model": ({"model": "bloom"}, "model: got 'bloom'; expected a Model"),
}  # fmt: skip


@pytest.mark.wrong_types
@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_refused_in_one_line(case):
    arguments, message = BAD[case]
    asked = {"tasks": "nano_nli"} if arguments else {}
    model = jp.load(CHECKPOINTS["bloom"])
    with pytest.raises(jp.InputError, match=f"^{message}"):
        jp.evaluate(**{"model": model, **asked, **arguments})
