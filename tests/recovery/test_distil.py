"""Recovery end to end: torch's divergence and gradients, resume between epochs, models that it cannot fit."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers
from flax import nnx
from recoveries import job, recovered

import jaxprune as jp
from jaxprune.devices import device_mesh
from jaxprune.models import layer_kind, modules
from jaxprune.recovery import distil, fit
from jaxprune.runs import prune_from_config, recover_from_config
from jaxprune.runs.verify import verify

FAMILIES = ("bloom", "xglm", "gpt2", "llama", "gemma3", "cohere")


def torch_divergence(dense, pruned, ids, valid):
    """Σ KL(p‖q) over real tokens from whole logits, and the squared norm of its gradient by the blocks of `pruned`."""
    with torch.no_grad():
        log_p = torch.log_softmax(dense(input_ids=ids).logits.double(), dim=-1)
    log_q = torch.log_softmax(pruned(input_ids=ids).logits.double(), dim=-1)
    total = (log_p.exp() * (log_p - log_q)).sum(dim=-1)[valid].sum()
    total.backward()
    blocks = next(m for m in pruned.modules() if isinstance(m, torch.nn.ModuleList))
    return total.item(), sum(float(p.grad.square().sum()) for p in blocks.parameters())


@pytest.mark.parametrize("name", FAMILIES)
def test_loss_and_gradient_are_those_of_whole_logits(name, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(distil, "SLICE", 50)  # the last slice of 131 tokens overlaps
    model = jp.load(tiny_folder(name))
    rng = np.random.default_rng(2)
    ids = rng.integers(0, 131, (3, 12)).astype(np.int32)
    valid = np.arange(12) < np.array([12, 9, 11])[:, None]
    pruned = jp.prune(model, criterion="magnitude", sparsity=0.5, progress=False)

    def by_torch(params):
        jp.export_hf(model, params, tmp_path / "hf", overwrite=True)
        load = transformers.AutoModelForCausalLM.from_pretrained
        models = load(tiny_folder(name)).eval(), load(tmp_path / "hf").eval()
        return torch_divergence(*models, torch.tensor(ids).long(), torch.tensor(valid))

    config, parts = model.config, modules(model.config)
    params = jax.tree.map(jnp.asarray, model.params)
    table = model.source.head_rows(np.arange(config.vocab_size))
    head = {"norm": params["head"]["norm"]}, jnp.asarray(table)
    kinds = [layer_kind(config, layer) for layer in range(config.n_layers)]
    fixed = head, None if len(config.kinds) == 1 else jnp.asarray(kinds)
    inputs = states = nnx.merge(parts.embed[0], params["embed"])(jnp.asarray(ids))
    for layer in range(config.n_layers):
        block = jax.tree.map(lambda leaf, layer=layer: leaf[layer], params["blocks"])
        states = nnx.merge(parts.block[0], block)(states, layer_kind(config, layer))
    mean_row, log_p = distil.predict(head, states, config=config, mesh=device_mesh(1))
    rows = inputs, mean_row, log_p, jnp.asarray(valid)
    blocks = jax.tree.map(jnp.asarray, pruned.params["blocks"])
    loss, gradient = jax.value_and_grad(distil.divergence, argnums=2)(
        config, "float32", blocks, fixed, *rows
    )
    expected, norm = by_torch(pruned.params)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    # the same length, and the same decrease along it: so it is the same vector
    ours = sum(float(jnp.sum(jnp.square(leaf))) for leaf in jax.tree.leaves(gradient))
    np.testing.assert_allclose(ours, norm, rtol=1e-3)
    step = 1e-3 * expected / ours
    moved = jax.tree.map(lambda leaf, slope: leaf - np.asarray(step * slope), blocks, gradient)
    after, _ = by_torch({**pruned.params, "blocks": moved})
    np.testing.assert_allclose((expected - after) / expected, 1e-3, rtol=0.05)


@pytest.fixture(scope="module")
def pruned_run(tmp_path_factory, tokens, tiny_folder):
    folder, model = tmp_path_factory.mktemp("runs"), tiny_folder("gemma3")
    prune_from_config(job(model, tokens), folder / "pruned")
    return folder / "pruned"


def report_of(run):
    return json.loads((run / "report.json").read_text())


class CrashError(Exception):
    """Stands for whatever ends a process."""


def test_a_workdir_that_resumes_between_epochs(
    pruned_run, tokens, tiny_folder, tmp_path, monkeypatch
):
    config = job(
        tiny_folder("gemma3"), tokens, recovery__run=str(pruned_run), recovery__how="distil"
    )
    report = recover_from_config(config, tmp_path / "whole")
    assert verify(tmp_path / "whole", progress=False) == []
    assert not (tmp_path / "whole/progress").exists()
    [[before, after]] = report["losses"]
    assert after < before
    assert report["digests"]["masks"] == report_of(pruned_run)["digests"]["masks"]
    card = (tmp_path / "whole/hf/README.md").read_text()
    assert "all blocks together" in card
    assert "--config.recovery.how=distil" in card

    whole, epochs = fit._mean, []

    def mean(*arguments):
        if len(epochs) == 3:  # of the pruned model, and of two epochs
            raise CrashError
        epochs.append(whole(*arguments))
        return epochs[-1]

    with monkeypatch.context() as patch:
        patch.setattr(fit, "_mean", mean)
        with pytest.raises(CrashError):
            recover_from_config(config, tmp_path / "run")
    steps = []
    step = fit._step
    monkeypatch.setattr(fit, "_step", lambda *a, **k: steps.append(0) or step(*a, **k))
    again = recover_from_config(config, tmp_path / "run")
    assert again["digests"] == report["digests"]
    assert again["losses"] == report["losses"]
    assert len(steps) == 2 * len(jp.token_batches(str(tokens)))


def test_capped_logits_are_refused(tiny_folder, tokens):
    with pytest.raises(jp.InputError, match=r"recovery\.how: distil .*allowed: block"):
        recovered(tiny_folder("gemma2"), tokens, how="distil")
