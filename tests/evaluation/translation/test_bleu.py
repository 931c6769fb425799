"""BLEU and chrF of systems, alone and compared."""

import numpy as np
import pytest

from jaxprune.base.errors import InputError
from jaxprune.evaluation.translation import bleu
from jaxprune.evaluation.translation.bleu import compare_systems, translation_scores

WORDS = ["red", "blue", "old", "cat", "dog", "house", "tree", "stone", "sings", "eats", "runs"]


def sentences(count, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(6, 12))) + f" {i} ." for i in range(count)]


def test_bleu_is_the_geometric_mean_of_precisions():
    scores, signatures = translation_scores(["a b c d e"], ["a b c d f"])
    want = 100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert scores["bleu"] == pytest.approx(want)
    assert "tok:13a" in signatures["bleu"]
    assert "version:" in signatures["chrf"]
    same, _ = translation_scores(
        ["ein Satz", "noch einer hier da"], ["ein Satz", "noch einer hier da"]
    )
    assert same["chrf"] == pytest.approx(100)


def spoiled(lines, share, seed=0):
    rng = np.random.default_rng(seed)
    return [
        " ".join(rng.choice(WORDS) if rng.random() < share else word for word in line.split())
        for line in lines
    ]


def test_a_tokenizer_that_is_not_installed_is_one_line(monkeypatch):
    def fail(trg_lang):
        raise RuntimeError(
            f"{trg_lang} requires extra dependencies.\n\n  pip install sacrebleu[ja]"
        )

    monkeypatch.setattr("sacrebleu.metrics.BLEU", fail)
    with pytest.raises(
        InputError, match=r"^translation: ja requires .* pip install sacrebleu\[ja\]$"
    ):
        bleu.metrics_of("ja")


def test_the_comparison_finds_the_better_system(monkeypatch):
    monkeypatch.setattr(bleu, "RESAMPLES", 300)
    references = sentences(60)
    bad, good = spoiled(references, 0.5), spoiled(references, 0.2, seed=1)
    found = compare_systems(bad, good, references)
    alone = [translation_scores(lines, references)[0] for lines in (bad, good)]
    for name, test in found.items():
        assert (test.a, test.b) == pytest.approx([one[name] for one in alone])
        assert test.a < test.b
        assert test.p < 0.02
    alike = compare_systems(good, spoiled(references, 0.2, seed=2), references)
    assert min(test.p for test in alike.values()) > 0.05
    same = compare_systems(good, good, references)
    assert all((test.p, test.a) == (1, test.b) for test in same.values())
