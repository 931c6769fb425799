"""Importance matrices: what is in the file, and that llama.cpp makes of them what `quantize.how=importance` does."""

import gguf
import libllama
import numpy as np
import pytest
import torch
import transformers
from conftest import random_torch
from jobs import on_tokens

import jaxprune as jp
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.gguf.write import write_gguf
from jaxprune.pages.job import run_from_config
from jaxprune.runs.imatrix import imatrix_of_run


def matrix_of(file):
    """Mean squares by name of a tensor."""
    tensors = {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(file).tensors}
    return {
        name.removesuffix(".in_sum2"): (sums / tensors[name.replace("in_sum2", "counts")]).ravel()
        for name, sums in tensors.items()
        if name.endswith(".in_sum2")
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A model of 64 wide layers, and its quantization by importance."""
    folder = tmp_path_factory.mktemp("imatrix")
    config = transformers.LlamaConfig(
        vocab_size=131, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=96, tie_word_embeddings=True,
    )  # fmt: skip
    random_torch(config).save_pretrained(folder / "dense")
    ids = np.random.default_rng(0).integers(3, 131, (8, 24)).astype(np.int32)
    np.savez(folder / "tokens.npz", input_ids=ids)
    job = on_tokens(
        folder / "dense", folder / "tokens.npz", command="quantize", quantize__how="importance"
    )
    run_from_config(job, folder / "run")
    return folder


def test_llama_cpp_makes_the_same_file_of_the_matrix(run, tmp_path):
    imatrix_of_run(run / "run", tmp_path / "matrix.gguf")
    write_gguf(jp.load(run / "dense"), Types(None, None), tmp_path / "dense.gguf")
    libllama.quantized_file(
        tmp_path / "dense.gguf", tmp_path / "theirs.gguf", matrix_of(tmp_path / "matrix.gguf")
    )
    ours, theirs = (
        {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
        for file in (run / "run/model.gguf", tmp_path / "theirs.gguf")
    )
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        kind = tensor.tensor_type
        assert kind == theirs[name].tensor_type, name
        values = [gguf.dequantize(t.data, kind) for t in (tensor, theirs[name])]
        assert np.array_equal(*values), name
        blocks = [np.asarray(t.data).reshape(-1, 18) for t in (tensor, theirs[name]) if kind == 2]
        if blocks:  # of opposite levels without a zero, the scale may be the opposite
            assert (blocks[0] != blocks[1]).any(axis=1).mean() < 0.02, name


def test_the_file_has_the_mean_squares_of_the_statistics(run, tmp_path):
    stats = jp.checkpoint.restore_stats(run / "run/stats")
    model = jp.load(run / "dense")
    jp.save_imatrix(model, stats, tmp_path / "matrix.gguf")
    matrix, [role] = matrix_of(tmp_path / "matrix.gguf"), stats.roles
    assert len(matrix) == 7 * model.config.n_layers
    for name, site in (("attn_q", "qkv"), ("ffn_down", "mlp_out")):
        expected = stats.sum_sq[role][site] / stats.count[role]
        for layer in range(model.config.n_layers):
            np.testing.assert_allclose(
                matrix[f"blk.{layer}.{name}.weight"], expected[layer], rtol=1e-6
            )
    with pytest.raises(jp.InputError, match="already exists"):
        jp.save_imatrix(model, stats, tmp_path / "matrix.gguf")


def test_a_matrix_of_one_language_is_measured_on_it_alone(tmp_path):
    model = jp.load("nano/bloom")
    batches = jp.demonstrations(model.tokenizer, "nano", source="fr,sw", samples=4)
    stats = jp.probe(model, batches, progress=False)
    jp.save_imatrix(model, stats, tmp_path / "sw.gguf", languages=["sw"])
    [key] = [key for key in stats.sums if key.language == "sw"]
    expected = stats.sums[key]["mlp_in"]["squares"] / stats.tokens[key]
    matrix = matrix_of(tmp_path / "sw.gguf")
    np.testing.assert_allclose(matrix["blk.1.ffn_up.weight"], expected[1], rtol=1e-6)
    with pytest.raises(jp.InputError, match="languages: got 'de'; expected fr, sw"):
        jp.save_imatrix(model, stats, tmp_path / "de.gguf", languages=["de"])


def test_the_tied_head_has_the_squares_of_its_inputs(run, tmp_path):
    model = jp.load(run / "dense")
    batches = jp.token_batches(run / "tokens.npz")
    stats = jp.probe(model, batches, head=True, progress=False)
    jp.save_imatrix(model, stats, tmp_path / "matrix.gguf")
    torch_model = transformers.AutoModelForCausalLM.from_pretrained(run / "dense").eval()
    ids = torch.tensor(np.load(run / "tokens.npz")["input_ids"].astype(np.int64))
    with torch.no_grad():
        inputs = torch_model.model(ids).last_hidden_state.double()
    means = inputs.square().mean(dim=(0, 1)).numpy()
    np.testing.assert_allclose(
        matrix_of(tmp_path / "matrix.gguf")["token_embd.weight"], means, rtol=1e-4
    )
    settings = jp.Settings(propagate="dense")
    assert len([*jp.prune_blocks(model, [], settings, stats=stats, progress=False)]) == 2
