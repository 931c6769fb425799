"""Recovery end to end: torch's divergence and gradients, resume between epochs, models that it cannot fit."""

import itertools
import json
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers
from flax import nnx
from kills import Killed, killed_after
from recount import recount
from recoveries import job, recovered
from torch_loop import blocks_of

import jaxprune as jp
from jaxprune.data.batches import Batch
from jaxprune.devices.sharding import device_mesh
from jaxprune.models.model import layer_kind, layer_kinds, modules
from jaxprune.pages.job import run_from_config
from jaxprune.recovery import fit, stacked, windows
from jaxprune.recovery.predictions import divergence_of_unit
from jaxprune.stats import predictions

FAMILIES = ("bloom", "llama", "gemma3", "cohere")


def torch_divergence(dense, pruned, ids, valid, fitted):
    """Σ KL(p‖q) over real tokens from whole logits, and the squared norm of its gradient by some blocks of `pruned`."""
    with torch.no_grad():
        log_p = torch.log_softmax(dense(input_ids=ids).logits.double(), dim=-1)
    log_q = torch.log_softmax(pruned(input_ids=ids).logits.double(), dim=-1)
    total = (log_p.exp() * (log_p - log_q)).sum(dim=-1)[valid].sum()
    total.backward()
    blocks = blocks_of(pruned)[:fitted].parameters()
    return total.item(), sum(float(p.grad.square().sum()) for p in blocks)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("fitted", [3, 1], ids=["all blocks", "the first block"])
def test_loss_and_gradient_are_those_of_whole_logits(
    fitted, name, tiny_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(predictions, "SLICE", 50)  # the last slice of 131 tokens overlaps
    model = jp.load(tiny_folder(name))
    rng = np.random.default_rng(2)
    ids = rng.integers(0, 131, (3, 12)).astype(np.int32)
    valid = np.arange(12) < np.array([12, 9, 11])[:, None]
    pruned = jp.prune(model, criterion="magnitude", sparsity=0.5, progress=False)

    def by_torch(params):
        jp.export_hf(model, params, tmp_path / "hf", overwrite=True)
        load = transformers.AutoModelForCausalLM.from_pretrained
        models = load(tiny_folder(name)).eval(), load(tmp_path / "hf").eval()
        return torch_divergence(*models, torch.tensor(ids).long(), torch.tensor(valid), fitted)

    config, parts = model.config, modules(model.config)
    params = jax.tree.map(jnp.asarray, model.params)
    table = model.source.head_rows(np.arange(config.vocab_size))
    head = {"norm": params["head"]["norm"]}, jnp.asarray(table)
    inputs = states = nnx.merge(parts.embed[0], params["embed"])(jnp.asarray(ids))
    for layer in range(config.n_layers):
        block = jax.tree.map(lambda leaf, layer=layer: leaf[layer], params["blocks"])
        states = nnx.merge(parts.block[0], block)(states, layer_kind(config, layer))
    flat = states.reshape(-1, config.d_model)
    mean_row, log_p = predictions.predict(flat, head=head, config=config, mesh=device_mesh(1))
    rows = inputs, mean_row.reshape(states.shape), log_p.reshape(ids.shape), jnp.asarray(valid)
    of_all = jax.tree.map(jnp.asarray, (pruned.params["blocks"], layer_kinds(config)))
    blocks, kinds = jax.tree.map(lambda leaf: leaf[:fitted], of_all)
    above = None
    if fitted < config.n_layers:
        every = stacked.Start(of_all[0], {}, (of_all[1], {}))
        above = every, jnp.arange(config.n_layers) >= fitted
    loss, gradient = jax.jit(
        jax.value_and_grad(divergence_of_unit, argnums=2), static_argnums=(0, 1)
    )(config, "float32", blocks, ((kinds, {}), head, above), *rows)
    expected, norm = by_torch(pruned.params)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    # the same length, and the same decrease along it: so it is the same vector
    ours = sum(float(jnp.sum(jnp.square(leaf))) for leaf in jax.tree.leaves(gradient))
    np.testing.assert_allclose(ours, norm, rtol=1e-3)
    step = 1e-3 * expected / ours
    moved = jax.tree.map(
        lambda leaf, slope: np.concatenate([leaf[:fitted] - step * slope, leaf[fitted:]]),
        of_all[0], gradient,
    )  # fmt: skip
    after, _ = by_torch({**pruned.params, "blocks": moved})
    np.testing.assert_allclose((expected - after) / expected, 1e-3, rtol=0.05)


def test_a_fit_begins_with_the_loss_at_which_the_fit_before_ended(tiny_folder, tokens):
    """As every one of them has the loss of the whole model."""
    *_, result = recovered(tiny_folder("gemma3"), tokens, how="distil", blocks=1)
    losses = result.report["losses"]
    assert len(losses) == 3
    assert all(after < before for before, after in losses)
    for (_, after), (before, _) in itertools.pairwise(losses):
        np.testing.assert_allclose(before, after, rtol=1e-5)


def test_tokens_of_a_large_vocabulary(monkeypatch):
    monkeypatch.setattr(predictions, "LEAST", 8)
    valid = np.array([[True, True, False], [True, False, False]])
    tokens = np.array([[7, 3, 50], [90, 50, 50]], np.int32)
    batches = [Batch(tokens, valid, "tokens", np.arange(2, dtype=np.int32))]
    found = predictions.predicted_tokens(batches, 100)
    assert {3, 7, 90} < {*found.tolist()}
    assert len(found) == 8
    assert max(np.diff(found)) < 40
    np.testing.assert_array_equal(found, np.sort(found))
    np.testing.assert_array_equal(predictions.predicted_tokens(batches, 8), np.arange(8))
    monkeypatch.setattr(predictions, "LEAST", 2)
    np.testing.assert_array_equal(predictions.predicted_tokens(batches, 100), [3, 7, 90])


def test_the_loss_over_some_tokens_is_torchs_over_these(tiny_folder, tmp_path, monkeypatch):
    """On the held-out one of two equal rows, before the first step."""
    monkeypatch.setattr(predictions, "LEAST", 40)
    model, row = jp.load(tiny_folder("llama")), np.arange(5, 25, dtype=np.int32)
    numbers = np.arange(2, dtype=np.int32)
    twice = Batch(np.stack([row, row]), np.ones((2, 20), bool), "tokens", numbers)
    pruned = jp.prune(model, criterion="magnitude", sparsity=0.5, progress=False)
    result = jp.recover(model, pruned, [twice], how="distil", epochs=1, batch=1, progress=False)
    some = torch.from_numpy(predictions.predicted_tokens([twice], 131))
    assert len(some) == 40
    jp.export_hf(model, pruned.params, tmp_path / "pruned")
    load, ids = (
        transformers.AutoModelForCausalLM.from_pretrained,
        torch.from_numpy(row)[None].long(),
    )
    with torch.no_grad():
        log_p, log_q = (
            torch.log_softmax(load(folder).eval()(ids).logits[0][:, some], dim=-1)
            for folder in (tiny_folder("llama"), tmp_path / "pruned")
        )
    expected = float((log_p.exp() * (log_p - log_q)).sum(dim=-1).mean())
    np.testing.assert_allclose(result.report["losses"][0][0], expected, rtol=1e-4)


def test_a_step_has_as_many_samples_as_the_setting_says(tiny_folder, monkeypatch):
    """An odd number too, though two samples fit on a device; and all of their tokens count."""
    steps, plain = [], fit.gradient_of

    def gradient_of(loss, masters, batch, mesh):
        steps.append(sum(len(unit.valid) for unit in batch))
        return plain(loss, masters, batch, mesh)

    monkeypatch.setattr(fit, "gradient_of", gradient_of)
    model = jp.load(tiny_folder("llama"))
    tokens = np.arange(8 * 20, dtype=np.int32).reshape(8, 20) % 131
    valid, source = np.ones((8, 20), bool), np.arange(20) < np.full((8, 1), 5)
    batch = Batch(tokens, valid, "tokens", np.arange(8, dtype=np.int32), counted=source)
    pruned = jp.prune(model, criterion="magnitude", sparsity=0.5, progress=False)
    result = jp.recover(model, pruned, [batch], how="distil", epochs=1, batch=3, progress=False)
    assert sorted(steps) == [1, 3, 3], "one sample is held out"
    assert result.report["tokens"] == {"tokens": 8 * 20}


@pytest.fixture(scope="module")
def pruned_run(tmp_path_factory, tokens, tiny_folder):
    folder, model = tmp_path_factory.mktemp("runs"), tiny_folder("gemma3")
    run_from_config(job(model, tokens), folder / "pruned")
    return folder / "pruned"


@pytest.fixture(scope="module")
def distilled(pruned_run, tokens, tiny_folder, tmp_path_factory):
    """(config, workdir, report)."""
    config = job(
        tiny_folder("gemma3"), tokens, recovery__run=str(pruned_run), recovery__how="distil"
    )
    workdir = tmp_path_factory.mktemp("distilled")
    return config, workdir, run_from_config(config, workdir)


def test_a_workdir_like_any_other(distilled, pruned_run):
    _, workdir, report = distilled
    assert recount(workdir) == []
    assert not (workdir / "progress").exists()
    [[before, after]] = report["losses"]
    assert after < before
    masks = json.loads((pruned_run / "report.json").read_text())["digests"]["masks"]
    assert report["digests"]["masks"] == masks
    card = (workdir / "hf/README.md").read_text()
    assert "- recovery.how: distil\n" in card
    assert "--config.recovery.how=distil" in card


# the loss is computed before the first epoch and after each of four; layers follow the last one
@pytest.mark.parametrize(
    ("module", "name", "count", "epochs"),
    [(fit, "mean_loss", 1, 4), (fit, "mean_loss", 3, 2), (stacked, "finished_layer", 1, 0)],
    ids=["in the first epoch", "in the third epoch", "after a layer"],
)
def test_it_resumes_with_the_same_bits(
    module, name, count, epochs, distilled, tmp_path, monkeypatch, tokens
):
    config, _, report = distilled
    handlers, fitted = [signal.getsignal(signal.SIGTERM)], windows.fit

    def fit_or_end(*arguments, **options):
        handlers.append(signal.getsignal(signal.SIGTERM))
        return fitted(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(windows, "fit", fit_or_end)
        patch.setattr(module, name, killed_after(iter(range(count)), getattr(module, name)))
        with pytest.raises(Killed):
            run_from_config(config, tmp_path)
    assert handlers == handlers[:1] * 2  # a signal ends it, as its state is saved
    steps, step = [], fit.step
    monkeypatch.setattr(fit, "step", lambda *a, **k: steps.append(0) or step(*a, **k))
    again = run_from_config(config, tmp_path)
    assert again["digests"] == report["digests"]
    assert again["losses"] == report["losses"]
    assert len(steps) == epochs * len(jp.token_batches(str(tokens)))


def test_capped_logits_are_refused(tiny_folder, tokens):
    with pytest.raises(jp.InputError, match=r"recovery\.how: distil .*use block"):
        recovered(tiny_folder("gemma2"), tokens, how="distil")
