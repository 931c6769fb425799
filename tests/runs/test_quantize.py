"""A quantization from its config: model.gguf has the weights of hf/; a stopped one resumes; some models are refused."""

import itertools
import json

import gguf
import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from folder_contents import contents
from jobs import job

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.base.workdir.reading import read_report
from jaxprune.models.grids import GRIDS
from jaxprune.models.model import kernel_shapes
from jaxprune.pages.card import model_card
from jaxprune.pages.facts import run_facts
from jaxprune.pages.job import run_from_config
from jaxprune.pruning import loop
from jaxprune.pruning.roundings import ROUNDINGS
from jaxprune.pruning.roundings.rounding import rounding_method
from jaxprune.runs.run_step import run_step
from jaxprune.runs.verify import verify
from jaxprune.steps import prune
from jaxprune.steps.planning.plan import plan_from_config
from jaxprune.steps.quantize import Quantize

MODEL = "nano/bloom"


def quantized(workdir, model=MODEL, **fields):
    samples = {"calibration__data": "nano", "calibration__samples": 4}
    config = job(model, "quantize", **samples, **fields)
    return run_from_config(config, workdir)


def equal(first, second):
    same = jax.tree.map(lambda a, b: np.array_equal(np.asarray(a), np.asarray(b)), first, second)
    return jax.tree.all(same)


@pytest.mark.parametrize(
    ("grid", "how"), [("q4_0", "gptq"), ("iq4_nl", "importance"), ("f16", "gptq")]
)
def test_the_file_has_the_weights_of_the_folder(grid, how, tmp_path):
    report = quantized(tmp_path, quantize__grid=grid, quantize__how=how)
    file, folder = jp.load(tmp_path / "model.gguf"), jp.load(tmp_path / "hf")
    assert equal(file.params, folder.params)
    assert verify(tmp_path) == []
    assert report["quantized"]["how"] == ("nearest" if grid == "f16" else how)
    dense = jp.load(MODEL)
    weights = sum(leaf.size for leaf in jax.tree.leaves(dense.params["blocks"]) if leaf.ndim == 3)
    least = weights * GRIDS[grid].bits / 8
    assert least < report["weight_bytes"]["model.gguf"] < least + dense.size * 4 - weights * 4
    assert not equal(file.params["blocks"], dense.params["blocks"])


def test_a_file_has_the_embedding_of_the_folder_in_half_precision(tmp_path):
    quantized(tmp_path, quantize__how="nearest", quantize__embedding="f16")
    file, folder = jp.load(tmp_path / "model.gguf"), jp.load(tmp_path / "hf")
    assert equal(file.params, folder.params)
    table = np.asarray(jp.load(MODEL).params["embed"]["tokens"], np.float32)
    assert equal(folder.params["embed"]["tokens"], table.astype(np.float16).astype(np.float32))


def test_embedding_and_kernels_are_on_their_grids(tmp_path):
    quantized(tmp_path, quantize__how="nearest", quantize__embedding="q4_0")
    embedding = jp.load(tmp_path / "hf").params["embed"]["tokens"]
    blocks = embedding.reshape(-1, 32)
    assert max(len(np.unique(block)) for block in blocks) <= 16


def test_a_stopped_run_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    quantized(tmp_path / "whole")
    passes = loop.pass_through

    def stops(block, *arguments):
        if block.layer == 2:
            raise KeyboardInterrupt
        return passes(block, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "pass_through", stops)
        with pytest.raises(KeyboardInterrupt):
            quantized(tmp_path / "stopped")
    assert not (tmp_path / "stopped/model.gguf").exists()
    quantized(tmp_path / "stopped")
    for name in ("model.gguf", "hf"):
        assert contents(tmp_path / "stopped" / name) == contents(tmp_path / "whole" / name)


def test_a_size_gives_more_bits_to_kernels_with_larger_errors(tmp_path):
    """The file is as large as allowed but for less than one kernel; no exchange of equal kernels loses less."""
    report = quantized(tmp_path, quantize__size="0.9MB")
    file = jp.load(tmp_path / "model.gguf")
    size = (tmp_path / "model.gguf").stat().st_size
    smallest = max(np.prod(shape) for shape in kernel_shapes(file.config).values()) * 3 / 8
    assert 900_000 - smallest < size <= 900_000
    grids = report["quantized"]["grids"]
    assert len({name for layer in grids for name in layer.values()}) > 1
    assert equal(file.params, jp.load(tmp_path / "hf").params)
    measured = read_report(tmp_path)["quantized"]["errors"]
    for path in kernel_shapes(file.config):
        errors = {layer[path]: [] for layer in grids}
        for layer, by_path in zip(grids, measured, strict=True):
            errors[layer[path]].append(by_path[path])
        for small, large in itertools.pairwise(sorted(errors, key=lambda name: GRIDS[name].bits)):
            assert max(errors[large]) < min(errors[small])


def test_errors_of_another_size_give_the_same_file(tmp_path, monkeypatch):
    smaller = quantized(tmp_path / "smaller", quantize__size="0.85MB")
    quantized(tmp_path / "alone", quantize__size="0.9MB")
    samples = {"calibration__data": "nano", "calibration__samples": 4}
    config = job(MODEL, "quantize", **samples, quantize__size="0.9MB")
    monkeypatch.setattr(prune, "measure_blocks", lambda *_, **__: 1 / 0)
    step = Quantize(config, smaller["allocation"]["measured"])
    run_step(step, tmp_path / "run", model_card)
    files = [(tmp_path / name / "model.gguf").read_bytes() for name in ("alone", "run")]
    assert files[0] == files[1]


def test_statistics_of_a_run_take_the_place_of_a_pass(tmp_path):
    """They give the same file as samples whose statistics are those of the dense model; Gram matrices are not saved."""
    samples = {"calibration__data": "nano", "calibration__samples": 4}
    run_from_config(job(MODEL, **samples, pruning__propagate="dense"), tmp_path / "wanda")
    stats = {"calibration__stats": str(tmp_path / "wanda")}
    for how in ("importance", "search"):
        config = job(MODEL, "quantize", quantize__how=how, **stats)
        report = run_from_config(config, tmp_path / how)
        assert verify(tmp_path / how) == []
        assert "calibration.kind" not in run_facts(config.json(), report)
    model = jp.load(MODEL)
    batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
    rounding = rounding_method(ROUNDINGS["search"], GRIDS["q4_0"])
    settings = jp.Settings(criterion=rounding, sparsity=0.0, propagate="dense")
    probed = jp.probe(model, batches, progress=False)
    file = jp.load(tmp_path / "search/model.gguf")
    for block in jp.prune_blocks(model, [], settings, stats=probed, progress=False):
        assert equal(dict(block.params), dict(file.block(block.layer)))
    with pytest.raises(jp.InputError, match="saves no gram, which the criterion needs"):
        run_from_config(job(MODEL, "quantize", **stats), tmp_path / "gptq")


def test_a_size_that_no_grid_fits_is_refused(tmp_path):
    with pytest.raises(jp.InputError, match=r"quantize\.size: 0\.7 MB is too small .* take 0\.7"):
        quantized(tmp_path, quantize__size="0.7MB")
    with pytest.raises(jp.InputError, match=r"quantize\.grid: got f16; expected another grid"):
        quantized(tmp_path, quantize__size="2MB", quantize__grid="f16")
    with pytest.raises(jp.InputError, match=r"quantize\.size: 0\.1 MB is too small .* take 0\.\d"):
        plan_from_config(job(MODEL, "quantize", quantize__size="0.1MB"))


def test_the_card_names_grid_languages_and_the_file(tmp_path):
    quantized(tmp_path)
    card = (tmp_path / "hf/README.md").read_text(encoding="utf-8")
    assert "quantized (gptq, q4_0)" in card
    assert "model.gguf" in card
    assert "- fr" in card
    report = read_report(tmp_path)
    assert model_card(job(MODEL, "quantize").json(), report)


def test_widths_that_no_block_divides_are_named(tmp_path, tiny_folder):
    with pytest.raises(jp.InputError, match=r"quantize.grid: .* has 48 inputs, .* expected f16"):
        quantized(tmp_path, tiny_folder("llama"))


def test_a_family_that_llama_cpp_lacks_is_quantized_without_a_file_for_it(tmp_path, capsys):
    report = quantized(tmp_path, "nano/xglm", quantize__how="nearest")
    assert "llama.cpp has no xglm model" in report["quantized"]["no_gguf"]
    assert "llama.cpp has no xglm model" in capsys.readouterr().out
    assert not (tmp_path / "model.gguf").exists()
    dense, rounded = (
        jp.load(model).block(0)["mlp"]["up"]["kernel"] for model in ("nano/xglm", tmp_path / "hf")
    )
    expected = gguf.quantize(np.ascontiguousarray(dense.T), gguf.GGMLQuantizationType.Q4_0)
    assert np.array_equal(gguf.dequantize(expected, gguf.GGMLQuantizationType.Q4_0), rounded.T)
    with pytest.raises(jp.InputError, match=r"quantize\.size: .* llama\.cpp has no xglm model"):
        quantized(tmp_path / "size", "nano/xglm", quantize__size="1MB")


def test_a_file_needs_the_tokens_of_its_tokenizer(tmp_path):
    quantized(tmp_path, quantize__how="nearest")
    file = tmp_path / "model.gguf"
    (tmp_path / "hf").rename(tmp_path / "moved")
    with pytest.raises(jp.InputError, match="tokenizer: not set; expected the folder or id"):
        jp.load(file)
    assert jp.load(file, tokenizer=tmp_path / "moved").size == jp.load(MODEL).size
    with pytest.raises(jp.InputError, match=r"has architecture bloom, config.json gpt2"):
        jp.load(file, tokenizer="nano/gpt2")
    rules = json.loads((tmp_path / "moved/tokenizer.json").read_text(encoding="utf-8"))
    ids = rules["model"]["vocab"]
    first, second = list(ids)[-2:]
    ids[first], ids[second] = ids[second], ids[first]
    (tmp_path / "moved/tokenizer.json").write_text(json.dumps(rules), encoding="utf-8")
    with pytest.raises(jp.InputError, match="expected the tokenizer of this file"):
        jp.load(file, tokenizer=tmp_path / "moved")


@pytest.mark.parametrize("how", ["window", "distil"])
def test_a_recovery_stays_on_the_grid(how, tmp_path):
    """Its levels are those of the quantized model; scales and norms are fitted, and the loss falls."""
    quantized(tmp_path / "four", quantize__how="nearest")
    config = job(
        MODEL, recovery__run=str(tmp_path / "four"), recovery__how=how, recovery__epochs=2,
        calibration__data="nano", calibration__samples=24,
    )  # fmt: skip
    report = run_from_config(config, tmp_path / "fitted")
    card = (tmp_path / "fitted/hf/README.md").read_text(encoding="utf-8")
    assert "were then fitted to the dense model" in card
    assert "bit-identical" not in card
    assert all(after < before for before, after in report["losses"])
    assert verify(tmp_path / "fitted") == []
    file, first = jp.load(tmp_path / "fitted/model.gguf"), jp.load(tmp_path / "four/hf")
    assert equal(file.params, jp.load(tmp_path / "fitted/hf").params)
    for layer in range(first.config.n_layers):
        old, new = (flatten_dict(m.block(layer), sep="/") for m in (first, file))
        assert not np.array_equal(old["mlp_norm/scale"], new["mlp_norm/scale"])
        for path in kernel_shapes(first.config):
            assert not np.array_equal(old[path], new[path])
            signs, others = np.sign(old[path]), np.sign(new[path])
            assert np.array_equal(signs, others)
            blocks = [kernel.T.reshape(-1, 32) for kernel in (old[path], new[path])]
            ratios = [block / np.abs(block).max(axis=1, keepdims=True) for block in blocks]
            np.testing.assert_allclose(*ratios, atol=1e-6)


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """A finished pruning that drops half of the weights."""
    workdir = tmp_path_factory.mktemp("pruned")
    samples = {"calibration__data": "nano", "calibration__samples": 4}
    run_from_config(job(MODEL, "prune", pruning__sparsity=0.5, **samples), workdir)
    return workdir


def zeros(model):
    kernels = flatten_dict(model.params["blocks"], sep="/")
    return {path: np.asarray(kernels[path]) == 0 for path in kernel_shapes(model.config)}


def test_weights_that_a_run_dropped_stay_0_on_the_grid_in_file_and_memory(pruned, tmp_path):
    report = quantized(tmp_path, str(pruned / "hf"))
    assert report["quantized"]["sparsity"]["overall"] == 0.5
    assert verify(tmp_path) == []
    masks = jp.checkpoint.restore(pruned / "checkpoint").masks
    dropped = {path: ~mask for path, mask in flatten_dict(masks["blocks"], sep="/").items()}
    folder = jp.load(tmp_path / "hf")
    assert all(zeros(folder)[path][mask].all() for path, mask in dropped.items())
    assert equal(jp.load(tmp_path / "model.gguf").params, folder.params)

    model = jp.load(MODEL)
    batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
    for form in (masks, jp.masks.pack(masks)):
        in_memory = jp.quantize(model, batches, masks=form, progress=False)
        assert equal(in_memory.model.params, folder.params)
    without = jp.quantize(jp.load(pruned / "hf"), batches, progress=False)
    assert not all(zeros(without.model)[path][mask].all() for path, mask in dropped.items())


def test_a_grid_without_a_zero_is_refused_where_weights_were_dropped(pruned, tmp_path):
    with pytest.raises(InputError, match=r"iq4_nl has no zero.*expected one of q4_0, q5_0, q8_0"):
        quantized(tmp_path, str(pruned / "hf"), quantize__grid="iq4_nl")
    assert not list(tmp_path.iterdir())
    masks = jp.checkpoint.restore(pruned / "checkpoint").masks
    with pytest.raises(InputError, match="which the weights that masks dropped need"):
        jp.quantize(jp.load(MODEL), grid="iq4_nl", how="nearest", masks=masks)


def test_a_packing_may_round_a_pruned_model_to_a_grid_without_a_zero(pruned, tmp_path):
    """It chooses the size of a file, and has never kept zeros; see `pack`."""
    samples = {"calibration__data": "nano", "calibration__samples": 4}
    config = job(str(pruned / "hf"), "quantize", quantize__grid="iq4_nl", **samples)
    run_step(Quantize(config, keeps_masks=False), tmp_path, model_card)
    assert verify(tmp_path) == []
