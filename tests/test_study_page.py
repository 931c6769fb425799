"""docs/study.md and studies/study: the page is made of the scores, and verdicts follow the rules of the protocol."""

import functools
import itertools
import json

import numpy as np
import pytest
import study
import study_hypotheses as hypotheses
import study_statistics
from study_hypotheses import DISCRIMINATION, LOG_PERPLEXITY
from study_scores import Scores
from study_statistics import (
    AGREES,
    OPEN,
    REFUTED,
    SUPPORTED,
    UNTESTABLE,
    results,
    verdicts,
)

PREMISES, RUNS, TOKENS = 40, 12, 30
PARTS = study.read_parts()
MONOLINGUAL_AND_CODE = "monolingual", "translation_vs_code", "monolingual_vs_code"
WITH_RECOVERED = "monolingual", "translation", "monolingual_recovered", "translation_recovered"
# of each part: calibrations, languages, sparsities
PLANNED = {
    "translation": (("monolingual", "translation", "unpaired"), hypotheses.FOREIGN, (0.3, 0.5)),
    "languages": (("monolingual",), (*hypotheses.LANGUAGES, hypotheses.MIXTURE), (0.5,)),
    "code": (MONOLINGUAL_AND_CODE, hypotheses.CODERS, (0.5,)),
    "highest": (("monolingual",), hypotheses.FOREIGN, (0.001, 0.01)),
    "sparsegpt": (WITH_RECOVERED, hypotheses.FOREIGN, (0.5,)),
    "owl": (("monolingual", "translation"), hypotheses.FOREIGN, (0.5,)),
}


def models(part):
    kinds, languages, sparsities = PLANNED[part]
    draws = range(1, hypotheses.DRAWS.get(part, 4) + 1)
    for one in itertools.product(kinds, languages, sparsities, draws):
        yield "{}-{}-{}-draw{}".format(*one), *one


def made_up(part, *, gain=0.0, log_perplexity=0.0):
    """Scores whose options are right by `gain` more in a model of translations, and whose text costs so much more."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(3), PREMISES)
    arrays = {}
    for code in hypotheses.LANGUAGES:
        arrays[f"labels/xnli/{code}"] = labels
        arrays[f"rows/xnli/{code}"] = np.arange(3 * PREMISES)
        arrays[f"groups/xnli/{code}"] = np.repeat(np.arange(PREMISES), 3)
    for name, kind, *_ in [("dense", None), *models(part)]:
        for code in hypotheses.LANGUAGES:
            scores = rng.normal(size=(3 * PREMISES, 3)) * 0.3 + np.eye(3)[labels] * 0.1
            more = gain if str(kind).startswith("translation") else 0.0
            arrays[f"{name}/xnli/{code}"] = scores + np.eye(3)[labels] * more
            cost = log_perplexity if str(kind).startswith("translation") else 0.0
            sums = -TOKENS * (3 + cost + 0.01 * rng.normal(size=RUNS))
            arrays[f"{name}/perplexity/{code}"] = np.stack([sums, np.full(RUNS, TOKENS)], axis=1)
            arrays[f"{name}/translation/{code}"] = np.array([40.0, 20.0])
    return arrays | made_up_masks(part)


def made_up_masks(part):
    """Two draws of a language share 90% of the kept weights, two languages of a draw 70%."""
    names, _, language, _, draw = map(np.array, zip(*models(part), strict=True))
    same, other = language[:, None] == language, draw[:, None] != draw
    shared = np.where(same & other, 0.9, np.where(~same & ~other, 0.7, 0.0))
    return {"masks/models": names, "masks/shared": shared}


@functools.cache
def made_up_parts(**signal):
    return {part: Scores(made_up(part, **signal)) for part in PLANNED}


@functools.cache
def all_tests(**signal):
    return hypotheses.all_tests(made_up_parts(**signal))


def by_name(hypothesis, tests):
    return results([test for test in tests if test.hypothesis == hypothesis])


def test_pages_and_cells_csv_are_made_of_the_scores():
    pages = study.read_pages()
    assert study.written(pages, PARTS) == pages
    assert all("<!--n " in text for text in pages.values())
    assert study.CELLS.read_text(encoding="utf-8") == study.cells_csv(PARTS)


def test_a_gain_is_supported_and_none_is_open_or_refuted():
    gained = by_name("H2a", all_tests(gain=0.5, log_perplexity=-0.1))
    assert [one.verdict for one in gained] == [SUPPORTED] * 4
    assert {one.test.measure for one in gained} == {DISCRIMINATION, LOG_PERPLEXITY}
    lost = by_name("H2a", all_tests(gain=-0.5, log_perplexity=0.1))
    assert [one.verdict for one in lost] == [REFUTED] * 4
    none = by_name("H2a", all_tests())
    assert SUPPORTED not in [one.verdict for one in none]
    # runs of text decide within 0.02, premises do not decide within a point
    assert [one.verdict for one in none] == [OPEN, REFUTED] * 2


def test_contrast_by_premise_against_loops():
    scores = made_up_parts(gain=0.3)["code"]
    found = scores.scored("dense", "xnli", "fr").scores
    for premise, (ours, share) in enumerate(
        zip(scores.contrast("dense", "fr"), scores.discrimination("dense", "fr"), strict=True)
    ):
        one = found[3 * premise : 3 * premise + 3]
        pairs = [
            one[i, i] - one[i, j] - one[j, i] + one[j, j]
            for i, j in itertools.permutations(range(3), 2)
        ]
        assert ours == pytest.approx(np.mean(pairs), rel=1e-5)
        assert share == pytest.approx(np.mean(np.array(pairs) > 0))


def test_the_bootstrap_resamples_groups_in_all_draws_at_once():
    rng = np.random.default_rng(3)
    values = (
        0.3 * rng.normal(size=(6, 1)) + rng.normal(size=(1, 40)) + 0.1 * rng.normal(size=(6, 40))
    )
    rng, means = np.random.default_rng(5), []
    for _ in range(2000):
        draws, groups = rng.integers(0, 6, 6), rng.integers(0, 40, 40)
        means.append(values[draws][:, groups].mean())
    assert study_statistics.crossed_bootstrap(values) == pytest.approx(
        np.quantile(means, [0.025, 0.975]), abs=0.03
    )


def test_nothing_is_tested_where_nothing_is_translated():
    assert all(not test.is_at_floor for test in all_tests())
    arrays = {
        name: np.array([16.0, 0.5]) if "/translation/" in name and "dense" not in name else array
        for name, array in made_up("highest").items()
    }
    tests = hypotheses.all_tests(made_up_parts() | {"highest": Scores(arrays)})
    found = by_name("H6", tests)
    assert [one.verdict for one in found] == [UNTESTABLE] * 2


def test_sparsegpt_agrees_if_its_intervals_contain_wandas_changes():
    parts = made_up_parts(gain=0.3)
    repeated = hypotheses.repeated_tests(parts)
    assert [one.verdict for one in repeated] == [AGREES] * 6
    assert verdicts(repeated) == dict.fromkeys(hypotheses.REPEATED, AGREES)
    parts = made_up_parts(log_perplexity=0.5) | {
        part: made_up_parts()[part] for part in ("sparsegpt", "owl")
    }
    repeated = hypotheses.repeated_tests(parts)
    assert [one.verdict for one in repeated] == [AGREES, OPEN] * 3
    assert verdicts(repeated) == dict.fromkeys(hypotheses.REPEATED, OPEN)


def test_cells_are_of_one_processor_and_but_for_recovery_of_one_version():
    models = json.loads(study.MODELS.read_text("utf-8"))
    made = [(name, one) for of_part in models.values() for name, one in of_part.items()]
    assert len({one["cpu"] for _, one in made}) == 1
    for is_recovered in (False, True):
        codes = {one.get("code") for name, one in made if ("_recovered" in name) == is_recovered}
        assert len(codes - {None}) == 1, "the page says so"
