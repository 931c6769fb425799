"""A real pretrained model, end to end: runs where JAXPRUNE_SMOLLM2 names SmolLM2-135M's folder and
JAXPRUNE_FLORES a folder with FLORES fr.txt and en.txt.

The expected perplexities come from an independent torch implementation (32 samples French to
English, 4 shots, lines 0-3, 5-8, …; perplexity of lines 300-499 joined by newline, whole windows of 512).
"""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers

import jaxprune as jp
from jaxprune.data.arrangements import paired, prompts, sample_lines
from jaxprune.evaluation.scoring.perplexity import perplexity
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.models.model import forward
from jaxprune.stats.grouping import group_by_length

FOLDER, FLORES = os.environ.get("JAXPRUNE_SMOLLM2"), os.environ.get("JAXPRUNE_FLORES")
pytestmark = pytest.mark.skipif(
    not (FOLDER and FLORES), reason="JAXPRUNE_SMOLLM2 and JAXPRUNE_FLORES name no folders"
)
EXPECTED = {  # (en, fr)
    "dense": (31.60, 31.85),
    "wanda": (73.2, 113.8),
    "magnitude": (355.7, 910.7),
}


@pytest.fixture(scope="module")
def model():
    return jp.load(FOLDER)


@pytest.fixture(scope="module")
def lines():
    return {
        code: Path(FLORES, f"{code}.txt").read_text(encoding="utf-8").splitlines()
        for code in ("fr", "en")
    }


@pytest.fixture(scope="module")
def calibration(model, lines):
    rows = sample_lines(500, "translation", 4, 32, 0, "official")
    texts = prompts(
        [lines["fr"], lines["en"]], ["fr", "en"], paired(rows), model.tokenizer.eos_token
    )
    tokens = [np.asarray(model.tokenizer(t).input_ids[:512], np.int32) for t in texts]
    return group_by_length(tokens, "translation")


def both(model, lines):
    scorer = Scorer(model, progress=False)
    return [perplexity(scorer, "\n".join(lines[code][300:500])).perplexity for code in ("en", "fr")]


def test_dense_logits_and_perplexity(model, lines):
    tokens = np.asarray(model.tokenizer(lines["fr"][0] + lines["en"][0]).input_ids)[None]
    reference = transformers.AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    with torch.no_grad():
        want = reference(torch.from_numpy(tokens)).logits.numpy()
    got = forward(model.config, jax.tree.map(jnp.asarray, model.params), jnp.asarray(tokens))
    np.testing.assert_allclose(got, want, atol=1e-3)
    np.testing.assert_allclose(both(model, lines), EXPECTED["dense"], rtol=0.001)


@pytest.mark.parametrize("criterion", ["wanda", "magnitude"])
def test_perplexity_after_pruning_half(model, lines, calibration, criterion):
    result = jp.prune(model, calibration, criterion=criterion, sparsity=0.5, progress=False)
    got = both(model.replace(result.params), lines)
    print(criterion, got)
    np.testing.assert_allclose(got, EXPECTED[criterion], rtol=0.01)


def test_random_masks_destroy_the_model(model, lines):
    result = jp.prune(model, criterion="random", sparsity=0.3, progress=False)
    assert both(model.replace(result.params), lines)[0] > 1e5  # seed 0: 331,805; Wanda at 50%: 73
