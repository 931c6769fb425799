"""Recovery of smaller models: torch's divergence over the tokens that are left, workdirs, resume, refusals."""

import dataclasses
import json

import numpy as np
import pytest
import torch
import transformers
from kills import Killed, killed_after
from recount import recount
from recoveries import job
from run_scripts import run_here

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.data.batches import Batch
from jaxprune.pages.job import run_from_config
from jaxprune.pages.page import write_report
from jaxprune.recovery import fit
from jaxprune.shrinking.vocabulary import teacher_of


def nano(**fields):
    """A recovery of the bundled model, on its bundled sentences."""
    given = {
        "calibration__kind": "monolingual", "calibration__source": "fr", "calibration__samples": 8,
        "recovery__how": "distil", "recovery__learning_rate": 0.01,
    }  # fmt: skip
    return job("nano/bloom", "nano", **(given | fields))


@pytest.fixture(scope="module")
def smaller(tmp_path_factory):
    """A workdir with fewer tokens and layers."""
    run = tmp_path_factory.mktemp("smaller")
    fields = {"shrink__vocabulary": "nano", "shrink__languages": "fr", "shrink__layers": 3}
    run_from_config(nano(**fields), run)
    return run


@pytest.fixture(scope="module")
def recovered(smaller, tmp_path_factory):
    config, run = nano(recovery__run=str(smaller)), tmp_path_factory.mktemp("recovered")
    return config, run, run_from_config(config, run)


def test_the_loss_is_torchs_divergence_over_the_tokens_that_are_left(smaller):
    """Before the first step, on the held-out one of two equal rows; the dense model predicts kept tokens alone."""
    dense, small = jp.load("nano/bloom"), jp.load(smaller / "hf")
    [batch, *_] = jp.demonstrations(
        small.tokenizer, "nano", kind="monolingual", source="fr", samples=2, max_length=48
    )
    row = batch.tokens[0][batch.valid[0]]
    rows, valid = np.stack([row, row]), np.ones((2, len(row)), bool)
    twice = Batch(rows, valid, "monolingual", np.arange(2, dtype=np.int32))
    result = jp.recover(dense, small, [twice], how="distil", epochs=2, batch=1, progress=False)
    names = {i: name for name, i in small.tokenizer.get_vocab().items()}
    old = torch.tensor([dense.tokenizer.get_vocab()[names[i]] for i in range(len(names))])
    assert len(old) < dense.config.vocab_size
    load, ids = transformers.AutoModelForCausalLM.from_pretrained, torch.from_numpy(row).long()
    with torch.no_grad():
        logits = load(dense.folder).eval()(old[ids][None]).logits[0][:, old]
        log_p = torch.log_softmax(logits, dim=-1)
        log_q = torch.log_softmax(load(smaller / "hf").eval()(ids[None]).logits[0], dim=-1)
    [[before, after]] = result.report["losses"]
    expected = float((log_p.exp() * (log_p - log_q)).sum(dim=-1).mean())
    np.testing.assert_allclose(before, expected, rtol=1e-4)
    assert after < before
    assert jp.masks.density(result.masks).overall == 1.0
    recovered = small.replace(result.params)
    np.testing.assert_array_equal(
        recovered.params["embed"]["tokens"], small.params["embed"]["tokens"]
    )


def test_a_workdir_like_any_other(recovered, smaller):
    _, run, report = recovered
    assert recount(run) == []
    assert not (run / "progress").exists()
    [[before, after]] = report["losses"]
    assert after < before
    written, small = jp.load(run / "hf"), jp.load(smaller / "hf")
    assert written.config == small.config
    assert written.tokenizer.get_vocab() == small.tokenizer.get_vocab()
    card = (run / "hf/README.md").read_text()
    for said in (
        "were then fitted to the dense model", "jaxprune shrink --config base --workdir SMALLER",
        "--config.recovery.run=SMALLER", "loss of the model on held-out samples",
    ):  # fmt: skip
        assert said in card
    write_report(run, (), run / "report.html")
    page = (run / "report.html").read_text()
    assert "Recovered by" in page
    assert "A smaller model" in page


def test_the_ready_config_of_the_bundled_models_recovers_a_smaller_one(
    smaller, tmp_path, monkeypatch, capfd
):
    few = ("calibration.samples=4", "recovery.how=distil", "recovery.epochs=1")
    done = run_here(
        monkeypatch, capfd, "recover", "--config=nano:bloom", f"--workdir={tmp_path / 'run'}",
        f"--config.recovery.run={smaller}", *(f"--config.{field}" for field in few),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert jp.load(tmp_path / "run/hf").config == jp.load(smaller / "hf").config


def test_a_recovered_model_is_recovered_again(recovered, tmp_path):
    _, run, report = recovered
    again = run_from_config(nano(recovery__run=str(run), recovery__epochs=1), tmp_path / "run")
    first = json.loads((run / "config.json").read_text())
    assert again["shrunk"] == {**report["shrunk"], "recoveries": [first]}
    assert again["losses"][0][0] <= report["losses"][0][0]
    card = (tmp_path / "run/hf/README.md").read_text()
    assert "jaxprune shrink --config base --workdir SMALLER" in card
    for source, made in (("SMALLER", "RECOVERED1"), ("RECOVERED1", "RUN")):
        [line] = [
            line for line in card.splitlines() if f"recover --config base --workdir {made}" in line
        ]
        assert f"--config.recovery.run={source}" in line
        assert ("--config.recovery.epochs=1" in line) == (made == "RUN")


def test_it_resumes_with_the_same_bits(recovered, tmp_path, monkeypatch, capsys):
    config, _, report = recovered
    with monkeypatch.context() as patch:
        patch.setattr(fit, "mean_loss", killed_after(iter(range(3)), fit.mean_loss))
        with pytest.raises(Killed):
            run_from_config(config, tmp_path / "run")
    assert not (tmp_path / "run/hf").exists()
    steps, step = [], fit.step
    monkeypatch.setattr(fit, "step", lambda *a, **k: steps.append(0) or step(*a, **k))
    again = run_from_config(config, tmp_path / "run")
    assert again["models"] == report["models"]
    assert again["losses"] == report["losses"]
    done = len(steps)
    run_from_config(config, tmp_path / "run")
    assert "is complete" in capsys.readouterr().out
    assert 0 < done == len(steps)


def test_a_run_in_memory_and_settings_without_effect(smaller, tmp_path):
    model = jp.load("nano/bloom")
    batches = jp.demonstrations(jp.load(smaller / "hf").tokenizer, "nano", samples=4)
    found = jp.recover(model, smaller, batches, how="distil", epochs=1, progress=False)
    assert found.report["losses"][0][1] <= found.report["losses"][0][0]
    config = nano(recovery__run=str(smaller), output__card=False)
    with pytest.raises(InputError, match=r"output.card: got False; expected True, of a smaller"):
        run_from_config(config, tmp_path / "run")


def test_samples_of_the_dense_tokenizer_are_refused(smaller):
    dense, small = jp.load("nano/bloom"), jp.load(smaller / "hf")
    batches = jp.demonstrations(dense.tokenizer, "nano", source="fr", samples=4, shots=1)
    fit = {"how": "distil", "epochs": 1, "progress": False}
    message = r"^batches: made with another tokenizer than the smaller model's; .*hf'\)\.tokenizer$"
    with pytest.raises(InputError, match=message):
        jp.recover(dense, small, batches, **fit)
    by_hand = [
        dataclasses.replace(batch, tokens=batch.tokens % small.config.vocab_size, vocabulary="")
        for batch in batches
    ]
    assert jp.recover(dense, small, by_hand, **fit).report["losses"]


def test_windows_learn_the_dropped_layers_too(smaller, tmp_path):
    """The first loss is the error of the smaller model's states beside those before the dense model's next layer."""
    dense, small = jp.load("nano/bloom"), jp.load(smaller / "hf")
    [batch, *_] = jp.demonstrations(
        small.tokenizer, "nano", kind="monolingual", source="fr", samples=2, max_length=48
    )
    row = batch.tokens[0][batch.valid[0]]
    rows = np.stack([row, row])
    twice = Batch(rows, np.ones(rows.shape, bool), "monolingual", np.arange(2, dtype=np.int32))
    result = jp.recover(dense, smaller, [twice], how="window", blocks=2, batch=1, progress=False)
    names = {i: name for name, i in small.tokenizer.get_vocab().items()}
    old = torch.tensor([dense.tokenizer.get_vocab()[names[i]] for i in range(len(names))])
    load, ids = transformers.AutoModelForCausalLM.from_pretrained, torch.from_numpy(row).long()
    [dropped] = json.loads((smaller / "report.json").read_text())["shrunk"]["depth"]["dropped"]
    kept = [layer for layer in range(4) if layer != dropped]
    with torch.no_grad():
        targets = load(dense.folder).eval()(old[ids][None], output_hidden_states=True)
        states = load(smaller / "hf").eval()(ids[None], output_hidden_states=True)
    target = targets.hidden_states[kept[2]][0]  # the inputs of the third layer that is left
    error = (states.hidden_states[2][0] - target).square().sum(dim=-1).mean()
    expected = float(error / target.var(dim=0, correction=0).sum())
    np.testing.assert_allclose(result.report["losses"][0][0], expected, rtol=1e-4)
    assert all(after < before for before, after in result.report["losses"])
    run = run_from_config(
        nano(recovery__run=str(smaller), recovery__how="window"), tmp_path / "run"
    )
    assert all(after < before for before, after in run["losses"])
    with pytest.raises(InputError, match=r"recovery.how: got 'block'; expected distil for a small"):
        jp.recover(dense, small, [twice], how="block", batch=1, progress=False)


def test_a_model_of_others_is_refused(smaller, tmp_path):
    other = dataclasses.replace(nano(recovery__run=str(smaller)), model="nano/gpt2")
    with pytest.raises(InputError, match="model: got nano/gpt2, another model than the dense one"):
        run_from_config(other, tmp_path / "run")
    small = jp.load(smaller / "hf")
    params = small.params
    params["embed"]["tokens"] = params["embed"]["tokens"] + 1
    with pytest.raises(InputError, match=r"not a smaller model of .*; its tokens have other"):
        teacher_of(jp.load("nano/bloom"), small.replace(params))
    model = jp.load("nano/bloom")
    pruned = model.replace(jp.prune(model, criterion="magnitude", progress=False).params)
    batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
    with pytest.raises(InputError, match=r"pruned: .*bloom has the tokens, layers and neurons of"):
        jp.recover(model, pruned, batches, how="distil")
    assert not (tmp_path / "run").exists()
