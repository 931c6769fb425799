"""`jp.evaluate` and `jp.compare` against what the jobs of the scripts write and read back."""

import dataclasses
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from jaxprune.evaluation.metrics_json import read_metrics

import jaxprune as jp
from jaxprune.config.validate import base_config, validate
from jaxprune.evaluation.evaluate import evaluate_from_config
from jaxprune.files import to_json

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
        jp.evaluate(one, **ASKED, perplexity="nano", progress=False) for one in (model, pruned)
    ]
    return (place / "dense", place / "pruned"), evaluations


@pytest.mark.parametrize("side", [0, 1])
def test_figures_and_scores_are_those_of_the_job(side, pair):
    folder, found = pair[0][side], pair[1][side]
    assert [*found.tasks] == ["nano_nli", "nano_reviews"]
    for task, result in found.tasks.items():
        written = read_metrics(folder / task)
        told = result.json()
        for key in ("languages", "worst", "mean", "labels", "protocol", "data"):
            assert told[key] == written[key]
        for code, scored in result.scored.items():
            with np.load(folder / task / f"{code}.npz") as arrays:
                for name in ("scores", "labels", "rows", "digests"):
                    np.testing.assert_array_equal(getattr(scored, name), arrays[name])
    written = read_metrics(folder / "perplexity")["languages"]
    assert to_json(found.perplexity.languages) == written


def test_comparisons_are_those_of_the_folders(pair):
    """In memory, in folders, or one of each."""
    folders, found = pair
    want = jp.compare(*folders)
    assert want.tasks["nano_nli"].languages["fr"].difference != 0
    assert want.perplexity["sw"].ratio > 1.01
    for a in (folders[0], str(folders[0]), found[0]):
        for b in (folders[1], found[1]):
            got = jp.compare(a, b)
            assert got.tasks == want.tasks
            assert got.perplexity == want.perplexity
            assert got.left_out == want.left_out
            in_memory = found[0] in (a, b) or found[1] in (a, b)
            assert (got.masks_note == "a run is in memory only") == in_memory
    other = jp.compare(*found, seed=1).tasks["nano_nli"].languages["fr"]
    assert other.probability.p != want.tasks["nano_nli"].languages["fr"].probability.p


def test_what_only_one_side_has_is_told(pair):
    fewer = jp.evaluate(
        jp.load(NANO / "bloom"), ["nano_nli"], languages=["en"], rows=5, progress=False
    )
    assert fewer.perplexity is None
    for a, b in ((fewer, pair[1][0]), (pair[1][0], fewer)):
        got = jp.compare(a, b)
        assert {*got.tasks} == {"nano_nli"}
        assert got.tasks["nano_nli"].languages["en"].rows == 5
        assert got.perplexity is None
        left = (*got.left_out.only_a, *got.left_out.only_b)
        assert {"nano_nli/fr", "nano_reviews/en", "perplexity/sw"} <= {*left}
        assert "nano_nli/en" not in left


def test_perplexity_alone(tmp_path):
    (tmp_path / "fr.txt").write_text("le chat dort\nle chien mange\nla femme lit\n")
    model = jp.load(NANO / "bloom")
    found = jp.evaluate(model, perplexity=tmp_path, perplexity_lines="0-1", progress=False)
    assert found.tasks == {}
    whole = model.tokenizer("le chat dort\nle chien mange")["input_ids"]
    logits = np.asarray(jp.forward(model.config, model.params, np.array([whole])), np.float64)[0]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    mean = np.mean([log_p[i, token] for i, token in enumerate(whole[1:])])
    assert found.perplexity.languages["fr"].perplexity == pytest.approx(np.exp(-mean), rel=1e-5)


BAD = {
    "nothing": ({}, "tasks: none; allowed: names of tasks, or nothing with perplexity"),
    "no such task": ({"tasks": ["nano_nil"]}, "task: got 'nano_nil'; .*did you mean nano_nli"),
    "twice": ({"tasks": "nano_nli,nano_nli"}, "evaluation.tasks: 'nano_nli' is there twice; allowed: each"),
    "no names": ({"tasks": 3}, "tasks: got 3; allowed: names of ready tasks or .toml files, separated by commas"),
    "language": ({"languages": "th"}, "nano_nli: no language 'th'; there are en fr es de sw"),
    "rows": ({"rows": 0}, "rows: got 0; allowed: an integer of at least 1"),
    "protocol": ({"protocol": "Paper"}, "protocol: got 'Paper'; allowed: paper"),
    "lines": ({"perplexity": "nano", "perplexity_lines": "3"}, "perplexity_lines: got '3'; allowed"),
    "text": ({"perplexity": "/no/such"}, "evaluation.perplexity: got '/no/such'; allowed: a folder"),
    "dtype": ({"dtype": "int8"}, "dtype: got 'int8'; allowed: float32, bfloat16"),
    "model": ({"model": "bloom"}, "model: got 'bloom'; allowed: a Model"),
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


@pytest.mark.wrong_types
def test_what_cannot_be_compared_is_refused(pair, tmp_path):
    folders, found = pair
    other = dataclasses.replace(found[0].tasks["nano_nli"], protocol="official")
    (tmp_path / "empty").mkdir()
    cases = {
        "nano_nli: protocol 'paper' in A and 'official' in B": dataclasses.replace(
            found[0], tasks={"nano_nli": other}
        ),
        "no task and language in both runs": dataclasses.replace(
            found[0], tasks={"other": other}, perplexity=None
        ),
        ".*empty: not evaluated; expected": tmp_path / "empty",
        ".*nowhere: no such folder": Path("nowhere"),
    }
    for message, b in cases.items():
        for a in (found[0], folders[0]):
            with pytest.raises(jp.InputError, match=f"^{message}"):
                jp.compare(a, b)
