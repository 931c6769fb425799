"""`jp.evaluate` and `jp.compare` against what the jobs of the scripts write and read back."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import jaxprune as jp
from jaxprune.cli.config.validate import base_config, validate
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.runs.evaluate import evaluate_from_config

NANO = files("jaxprune").joinpath("nano", "checkpoints")
ASKED = {"tasks": "nano_nli,nano_reviews", "languages": "en,fr,sw", "rows": 12}


def job(model, **fields):
    config = base_config()
    config.model = str(model)
    with config.ignore_type():
        config.evaluation.update(ASKED | {"perplexity": "nano"} | fields)
    return validate(config, "evaluate")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The dense and a pruned model: as written by the job of scripts/evaluate.py, and in memory."""
    place = tmp_path_factory.mktemp("runs")
    model = jp.load(NANO / "bloom")
    keep = jp.masks.keep(jp.scores.magnitude(model.params), sparsity=0.6)
    pruned = model.replace(jp.masks.apply(model.params, keep))
    jp.export_hf(model, pruned.params, place / "hf")
    evaluate_from_config(job(model.folder), place / "dense")
    evaluate_from_config(job(place / "hf"), place / "pruned")
    evaluations = [
        jp.evaluate(one, **ASKED, perplexity="nano", progress=False, name=name)
        for name, one in (("dense", model), ("pruned", pruned))
    ]
    return (place / "dense", place / "pruned"), evaluations


@pytest.mark.parametrize("side", [0, 1])
def test_measurements_and_scores_are_those_of_the_job(side, pair):
    written, found = open_evaluation(pair[0][side]), pair[1][side]
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


def test_comparisons_are_those_of_the_folders(pair):
    """In memory, in folders, or one of each."""
    folders, found = pair
    want = jp.compare(*folders)
    values = {(row.task, row.language, row.measure): row for row in want.changes}
    assert values["nano_nli", "fr", "accuracy"].difference != 0
    assert values["perplexity", "sw", "perplexity"].difference > 0.01
    for a in (folders[0], str(folders[0]), found[0]):
        for b in (folders[1], found[1]):
            got = jp.compare(a, b)
            assert got.changes == want.changes
            assert got.left_out == want.left_out
    other = {
        (row.task, row.language, row.measure): row for row in jp.compare(*found, seed=1).changes
    }
    key = ("nano_nli", "fr", "probability")
    assert other[key].p != values[key].p


def test_what_only_one_side_has_is_told(pair):
    fewer = jp.evaluate(
        jp.load(NANO / "bloom"),
        ["nano_nli"],
        languages=["en"],
        rows=12,
        progress=False,
        name="few",
    )
    assert fewer.perplexities == {}
    for a, b in ((fewer, pair[1][0]), (pair[1][0], fewer)):
        got = jp.compare(a, b)
        assert {(row.task, row.language) for row in got.changes} == {
            ("nano_nli", "en"),
            ("nano_nli", "mean"),
        }
        assert {row.n for row in got.changes} == {12}
        [left] = got.left_out
        assert left.startswith("only in dense, not compared with few: nano_nli/fr, nano_nli/sw")
        assert "perplexity/sw" in left


def test_perplexity_alone(tmp_path):
    (tmp_path / "fr.txt").write_text("le chat dort\nle chien mange\nla femme lit\n")
    model = jp.load(NANO / "bloom")
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
    "no such task": ({"tasks": ["nano_nil"]}, "task: got 'nano_nil'; .*did you mean nano_nli"),
    "twice": ({"tasks": "nano_nli,nano_nli"}, "evaluation.tasks: 'nano_nli' is there twice; expected each"),
    "no names": ({"tasks": 3}, "tasks: got 3; expected names of ready tasks or .toml files, separated by commas"),
    "language": ({"languages": "th"}, "nano_nli: no language 'th'; there are en fr es de sw"),
    "rows": ({"rows": 0}, "rows: got 0; expected an integer of at least 1"),
    "protocol": ({"protocol": "Paper"}, "protocol: got 'Paper'; expected paper"),
    "lines": ({"perplexity": "nano", "perplexity_lines": "3"}, "perplexity_lines: got '3'; expected"),
    "text": ({"perplexity": "/no/such"}, "evaluation.perplexity: got '/no/such'; expected a folder"),
    "dtype": ({"dtype": "int8"}, "dtype: got 'int8'; expected float32, bfloat16"),
    "model": ({"model": "bloom"}, "model: got 'bloom'; expected a Model"),
}  # fmt: skip


@pytest.mark.wrong_types
@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_refused_in_one_line(case):
    arguments, message = BAD[case]
    asked = {"tasks": "nano_nli"} if arguments else {}
    model = jp.load(NANO / "bloom")
    with pytest.raises(jp.InputError, match=f"^{message}") as caught:
        jp.evaluate(**{"model": model, **asked, **arguments})
    assert "\n" not in str(caught.value)


def test_folders_without_an_evaluation_are_refused(pair, tmp_path):
    (tmp_path / "empty").mkdir()
    for message, b in {
        "empty: not evaluated; expected": tmp_path / "empty",
        "nowhere: no such folder": Path("nowhere"),
    }.items():
        for a in (pair[0][0], pair[1][0]):
            with pytest.raises(jp.InputError, match=f"^{message}"):
                jp.compare(a, b)
