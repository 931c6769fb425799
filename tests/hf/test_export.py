"""Exported folders, read by transformers: the same logits, nothing else to run."""

import functools
import itertools
import json
import shutil

import huggingface_hub
import jax
import ml_dtypes
import numpy as np
import pytest
import torch
import transformers
from conftest import tiny_torch

import jaxprune as jp
from jaxprune.hf import export
from jaxprune.hf.export import HfWriter
from jaxprune.hf.shards import ShardWriter
from jaxprune.hf.tensor_index import find_tensors
from jaxprune.models.model import forward

# Each family, with a head of its own and with a tied one, with biases and without
NAMES = (
    "xglm", "bloom-12-heads-post", "gpt2-unscaled-inner", "llama", "llama3-tied-biases", "qwen3",
    "mistral", "smollm3", "gemma2", "gemma3", "cohere", "cohere2", "apertus",
)  # fmt: skip
TOKENS = np.random.default_rng(3).integers(0, 131, (2, 11))


def torch_logits(folder):
    """By transformers alone: safetensors, no remote code, no tensor missing or left over."""
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, use_safetensors=True, trust_remote_code=False, output_loading_info=True,
        dtype=torch.float32,
    )  # fmt: skip
    assert not any(info[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    with torch.no_grad():
        return model.eval()(torch.from_numpy(TOKENS)).logits.numpy(), model


compiled = jax.jit(forward, static_argnames="config")


def jax_logits(model, params):
    params = jax.tree.map(lambda x: x.astype(np.float32), params)
    return np.asarray(compiled(model.config, params, TOKENS))


def pruned(params):
    """Every other weight of every kernel is 0."""

    def thin(leaf):
        odd = np.indices(leaf.shape).sum(axis=0) % 2
        return leaf * odd.astype(leaf.dtype) if leaf.ndim == 3 else leaf

    return {**params, "blocks": jax.tree.map(thin, params["blocks"])}


def tensors(folder):
    files = find_tensors(folder)
    return {n: (files[n].read().tobytes(), files[n].dtype, files[n].shape) for n in files}


@pytest.mark.parametrize("name", NAMES)
def test_transformers_gives_the_same_logits(name, tmp_path, tiny_folder):
    model = jp.load(tiny_folder(name))
    params = pruned(model.params)
    jp.export_hf(model, params, tmp_path / "hf")
    want, reference = torch_logits(tmp_path / "hf")
    np.testing.assert_allclose(jax_logits(model, params), want, atol=1e-4)
    assert np.abs(want - torch_logits(tiny_folder(name))[0]).max() > 0.1  # pruning did something
    kernels = sum(leaf.size for leaf in jax.tree.leaves(params["blocks"]) if leaf.ndim == 3)
    zeros = sum(int((value == 0).sum()) for value in reference.state_dict().values())
    assert zeros == kernels // 2  # dense zeros, where they belong and nowhere else
    assert not hasattr(reference.config, "sparsity_config")


@pytest.mark.parametrize(
    "name", ["bloom-12-heads-post", "gpt2-unscaled-inner", "gemma3", "apertus"]
)
def test_bfloat16_on_disk(name, tmp_path, tiny_folder):
    model = jp.load(tiny_folder(name))
    params = jax.tree.map(lambda x: x.astype(ml_dtypes.bfloat16), pruned(model.params))
    jp.export_hf(model, params, tmp_path / "hf")
    files = find_tensors(tmp_path / "hf")
    assert {files[n].dtype.name for n in files} == {"bfloat16"}
    assert transformers.AutoConfig.from_pretrained(tmp_path / "hf").dtype == torch.bfloat16
    np.testing.assert_allclose(
        jax_logits(model, params), torch_logits(tmp_path / "hf")[0], atol=1e-4
    )
    again = jp.load(tmp_path / "hf").params
    jax.tree.map(lambda a, b: np.testing.assert_equal(a.tobytes(), b.tobytes()), again, params)


def test_the_dtype_of_a_text_part_is_the_weights(tmp_path, tiny_folder):
    folder = shutil.copytree(tiny_folder("gemma3"), tmp_path / "model")
    raw = json.loads((folder / "config.json").read_text())
    tied = {"tie_word_embeddings": raw["tie_word_embeddings"]}
    multimodal = {"model_type": "gemma3", "text_config": {**raw, "dtype": "bfloat16"}, **tied}
    (folder / "config.json").write_text(json.dumps(multimodal))
    model = jp.load(folder)
    jp.export_hf(model, model.params, tmp_path / "hf")
    assert transformers.AutoConfig.from_pretrained(tmp_path / "hf").dtype == torch.float32


@pytest.mark.parametrize("name", ["bloom", "gpt2-unscaled-inner", "llama"])
def test_block_by_block_writes_the_same_tensors(name, tmp_path, tiny_folder):
    model = jp.load(tiny_folder(name))
    jp.export_hf(model, model.params, tmp_path / "whole")
    for kind, source in (("from files", model), ("from memory", model.replace(model.params))):
        writer = HfWriter(source, tmp_path / kind)
        for layer in range(model.config.n_layers):
            writer.write_block(source.block(layer), layer)
        writer.copy_unpruned()
        writer.close()
        assert tensors(tmp_path / kind) == tensors(tmp_path / "whole")
    assert tensors(tmp_path / "whole") == tensors(tiny_folder(name))


def test_names_without_prefix_get_it_and_bin_becomes_safetensors(tmp_path, tiny_folder):
    """The hub's BLOOM, h.0.…, comes out as transformers saves it, transformer.h.0.…"""
    source = tmp_path / "hub"
    source.mkdir()
    shutil.copyfile(tiny_folder("bloom") / "config.json", source / "config.json")
    state = tiny_torch("bloom").base_model.state_dict()
    huggingface_hub.save_torch_state_dict(
        state, source, max_shard_size=30_000, safe_serialization=False
    )
    assert (source / "pytorch_model.bin.index.json").exists()
    model = jp.load(source)
    writer = HfWriter(model, tmp_path / "hf")
    for layer in range(model.config.n_layers):
        writer.write_block(model.block(layer), layer)
    writer.copy_unpruned()
    writer.close()
    assert tensors(tmp_path / "hf") == tensors(tiny_folder("bloom"))
    assert not list((tmp_path / "hf").glob("*.bin*"))
    torch_logits(tmp_path / "hf")


def test_a_model_above_the_limit_is_cut_into_shards(tmp_path, tiny_folder, monkeypatch):
    model = jp.load(tiny_folder("llama"))
    monkeypatch.setattr(export, "ShardWriter", functools.partial(ShardWriter, largest=50_000))
    jp.export_hf(model, pruned(model.params), tmp_path / "hf")
    sizes = [path.stat().st_size for path in (tmp_path / "hf").glob("model-*.safetensors")]
    assert len(sizes) > 3
    assert max(sizes) < 55_000  # header included
    want = jax_logits(model, pruned(model.params))
    np.testing.assert_allclose(torch_logits(tmp_path / "hf")[0], want, atol=1e-4)


FILES = {
    "tokenizer.json": True, "tokenizer_config.json": True, "special_tokens_map.json": True,
    "generation_config.json": True, "merges.txt": True, "sentencepiece.bpe.model": True,
    "chat_template.jinja": True, "LICENSE": True, "README.md": True,
    "modeling_custom.py": False, "pytorch_model.bin": False, "training_args.bin": False,
    "model.safetensors.index.json": False, "events.log": False,
}  # fmt: skip


def test_what_goes_along(tmp_path, tiny_folder):
    source = tmp_path / "source"
    shutil.copytree(tiny_folder("xglm"), source)
    for file in FILES:
        (source / file).write_text(json.dumps({"file": file}))
    (source / "subfolder.json").mkdir()
    model = jp.load(source)
    jp.export_hf(model, model.params, tmp_path / "hf")
    copied = {path.name for path in (tmp_path / "hf").iterdir()}
    assert copied == {
        "model.safetensors",
        "config.json",
        "files.json",
        *(file for file, goes in FILES.items() if goes),
    }
    for file, goes in FILES.items():
        if goes:
            want = (source / file).read_bytes()
            assert (tmp_path / "hf" / file).read_bytes() == want


def test_an_export_that_fails_leaves_nothing_new_and_the_old_one_whole(
    tmp_path, tiny_folder, monkeypatch
):
    model = jp.load(tiny_folder("bloom"))
    jp.export_hf(model, model.params, tmp_path / "hf")
    before = tensors(tmp_path / "hf")
    other = jax.tree.map(np.zeros_like, model.params)

    def dies_at(count):
        write, steps = ShardWriter.write, itertools.count()

        def die(self, parts):
            if next(steps) == count:
                raise OSError("no space left")
            write(self, parts)

        return die

    for count in (0, 3):
        for folder, overwrite in (("hf", True), ("never", False)):
            with monkeypatch.context() as patch:
                patch.setattr(ShardWriter, "write", dies_at(count))
                with pytest.raises(OSError, match="no space left"):
                    jp.export_hf(model, other, tmp_path / folder, overwrite=overwrite)
        assert [path.name for path in tmp_path.iterdir()] == ["hf"]
        assert tensors(tmp_path / "hf") == before
    with pytest.raises(jp.InputError, match="hf: already exists"):
        jp.export_hf(model, other, tmp_path / "hf")
    jp.export_hf(model, other, tmp_path / "hf", overwrite=True)
    assert tensors(tmp_path / "hf") != before


def test_leftovers_of_a_killed_export_are_no_hindrance(tmp_path, tiny_folder):
    model = jp.load(tiny_folder("bloom"))
    writer = HfWriter(model, tmp_path / "hf")
    writer.write_block(model.block(0), 0)  # and then the process is killed
    assert not (tmp_path / "hf").exists()
    with pytest.raises(jp.InputError):
        jp.load(next(tmp_path.iterdir()))  # what it left does not pass for a model
    jp.export_hf(model, model.params, tmp_path / "hf")
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]
