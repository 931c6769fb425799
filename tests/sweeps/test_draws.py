"""Sweeps with draws: every calibration with text is made on each of several disjoint parts of it."""

import csv
import json
import math
from dataclasses import replace

import pytest
from evaluated import LABELS, A, evaluation, scored

import jaxprune as jp
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.search.sweeps.config import SweepConfig
from jaxprune.search.sweeps.over_draws import drawn_changes
from jaxprune.search.sweeps.variants import variants
from jaxprune.steps.planning.checked import config_of

SWEEP = {
    "calibration": {"data": "nano", "samples": 2, "shots": 2},
    "evaluation": {"tasks": "nano_nli", "rows": 6, "perplexity": "nano"},
    "sweep": {
        "grid": {
            "pruning.criterion": ["wanda"],
            "calibration.kind": ["monolingual", "shuffled"],
            "calibration.source": ["fr", "sw"],
            "calibration.draw": ["1/2", "2/2"],
            "pruning.sparsity": [0.5],
        },
        "name": "{pruning.criterion}-{calibration.kind}-{calibration.source}-{calibration.draw}",
    },
}  # fmt: skip
SHUFFLED = "pruning.criterion=wanda calibration.kind=shuffled pruning.sparsity=0.5"
PLAIN = "pruning.criterion=wanda calibration.kind=monolingual pruning.sparsity=0.5"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("draws")
    return folder, jp.sweep("nano/bloom", folder, **SWEEP)


def test_a_variant_has_the_masks_of_a_run_on_its_draw(swept):
    folder, _ = swept
    model = jp.load("nano/bloom")
    for draw in (1, 2):
        batches = jp.demonstrations(
            model.tokenizer, "nano", kind="shuffled", shots=2, samples=2, draw=f"{draw}/2"
        )
        alone = jp.prune(model, batches, sparsity=0.5, progress=False)
        variant = folder / f"wanda-shuffled-fr-{draw}"
        swept_masks = jp.checkpoint.restore(variant / "checkpoint").masks
        assert jp.masks.overlap(alone.masks, swept_masks).overall == 1
        config = json.loads((variant / "config.json").read_text(encoding="utf-8"))
        assert config["calibration"]["draw"] == f"{draw}/2"


def test_comparisons_over_the_draws_are_means_of_those_of_each_draw(swept):
    folder, found = swept
    drawn = {(d.variants, d.against, d.task, d.measure, d.language): d for d in found.drawn}
    assert {(variants, against) for variants, against, *_ in drawn} == {
        (PLAIN, "dense"), (SHUFFLED, "dense"), (SHUFFLED, "monolingual"),
    }  # fmt: skip
    changes = {
        (one.run, one.language, one.measure): one.difference for one in found.comparison.changes
    }
    means = []
    for code in ("fr", "sw"):
        one = drawn[SHUFFLED, "dense", "nano_nli", "accuracy", code]
        by_draw = [changes[f"wanda-shuffled-{code}-{draw}", code, "accuracy"] for draw in (1, 2)]
        assert one.difference == pytest.approx(sum(by_draw) / 2)
        assert (one.draws, one.low <= one.difference <= one.high) == (2, True)
        means.append(one.difference)
        rise = drawn[SHUFFLED, "monolingual", "perplexity", "log-perplexity", code].difference
        expected = [
            math.log1p(changes[f"wanda-{kind}-{code}-{draw}", code, "perplexity"]) * sign
            for kind, sign in (("shuffled", 1), ("monolingual", -1))
            for draw in (1, 2)
        ]
        assert rise == pytest.approx(sum(expected) / 2)
    mean = drawn[SHUFFLED, "dense", "nano_nli", "accuracy", "mean non-en"]
    assert mean.difference == pytest.approx(sum(means) / 2)
    with (folder / "over_draws.csv").open(encoding="utf-8") as file:
        assert len([*csv.DictReader(file)]) == len(drawn)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "erplexity: log-perplexity, change against monolingual" in page


def runs_of(swept, *names):
    folder, found = swept
    wanted = [one for one in found.variants if one.name in ("dense", *names)]
    return wanted, [replace(open_evaluation(folder / one.name), name=one.name) for one in wanted]


def test_means_of_an_unfinished_sweep_are_over_the_draws_of_all_languages(swept):
    def found(**draws_by_language):
        names = (
            f"wanda-monolingual-{code}-{n}" for code, ns in draws_by_language.items() for n in ns
        )
        drawn = drawn_changes(*runs_of(swept, *names))
        return {d.language: d for d in drawn if (d.task, d.measure) == ("nano_nli", "accuracy")}

    whole, part = found(fr=(1, 2), sw=(1, 2)), found(fr=(1, 2), sw=(2,))
    assert part["fr"] == whole["fr"]
    assert (part["mean non-en"].draws, whole["mean non-en"].draws) == (1, 2)
    second = found(fr=(2,), sw=(2,))
    assert part["mean non-en"].difference == second["mean non-en"].difference
    assert "mean non-en" not in found(fr=(1,), sw=(2,))


def test_plain_text_may_have_another_criterion():
    grid = {
        "pruning.criterion": ["wanda", "refined"],
        "calibration.kind": ["monolingual", "monolingual_vs_code"],
        "calibration.draw": ["1/2", "2/2"],
    }
    fields = {"model": "nano/bloom", "calibration.data": "nano", "calibration.code": "code"}
    config = config_of({**fields, "evaluation.tasks": "nano_nli", "sweep.grid": grid}, SweepConfig)
    made = variants(config).made
    runs = [evaluation(one.name, nano_nli={"fr": scored(A["fr"], LABELS)}) for one in made]
    pairs = {(d.variants, d.against) for d in drawn_changes(made, runs)}
    refined = "pruning.criterion=refined calibration.kind=monolingual_vs_code"
    assert {(refined, "dense"), (refined, "monolingual")} <= pairs
