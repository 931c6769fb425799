"""Gemma 3 that also sees: its text part is read, and is all that an export holds."""

import json

import jax
import numpy as np
import pytest
import torch
import transformers
from conftest import seeing_config

import jaxprune as jp
from jaxprune.hf.tensor_index import find_tensors
from jaxprune.models.model import forward

compiled = jax.jit(forward, static_argnames="config")
TOKENS = np.random.default_rng(2).integers(5, 131, (2, 21))


@pytest.fixture(scope="module")
def seeing(tmp_path_factory):
    """(folder, torch model) of a tiny Gemma 3 with a vision tower."""
    torch.manual_seed(0)
    model = transformers.Gemma3ForConditionalGeneration(seeing_config()).eval()
    with torch.no_grad():
        for value in model.parameters():
            value.normal_(0, 0.3)
    folder = tmp_path_factory.mktemp("gemma3")
    model.save_pretrained(folder)
    return folder, model


def test_the_text_part_is_torchs(seeing):
    folder, theirs = seeing
    model = jp.load(folder)
    with torch.no_grad():
        want = theirs(input_ids=torch.from_numpy(TOKENS)).logits.numpy()
    got = np.asarray(compiled(model.config, model.params, TOKENS))
    assert np.abs(want).max() > 1
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


PREFIXES = {"language_model.model.": "language_model.", "model.language_model.": ""}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_names_of_other_releases(prefix, seeing, tmp_path):
    folder, theirs = seeing
    beside = PREFIXES[prefix]
    state = {
        name.replace("model.language_model.", prefix).replace(
            "lm_head.", f"{beside}lm_head."
        ): value
        for name, value in theirs.state_dict().items()
    }
    assert any(name.startswith(prefix) for name in state)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    torch.save(state, tmp_path / "pytorch_model.bin")
    model, again = jp.load(folder), jp.load(tmp_path)
    for layer in range(model.config.n_layers):
        np.testing.assert_equal(again.block(layer), model.block(layer))


def test_an_export_is_a_model_of_text(seeing, tmp_path):
    folder, _ = seeing
    model = jp.load(folder)
    jp.export_hf(model, model.params, tmp_path / "hf")
    raw = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert raw["model_type"] == "gemma3_text"
    assert not {"vision_config", "text_config"} & set(raw)
    assert jp.load(tmp_path / "hf").config == model.config
    names = list(find_tensors(tmp_path / "hf"))
    assert all(name.startswith(("model.embed", "model.layers.", "model.norm")) for name in names)
    theirs, info = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "hf", output_loading_info=True, dtype=torch.float32
    )
    assert not any(info[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    with torch.no_grad():
        want = theirs.eval()(torch.from_numpy(TOKENS)).logits.numpy()
    got = np.asarray(compiled(model.config, model.params, TOKENS))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
