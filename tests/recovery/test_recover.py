"""Recovery: the same steps as torch's, zeros stay, any devices, and a workdir like any other."""

import dataclasses
import json
import re
import shutil

import jax
import numpy as np
import pytest
import torch
import transformers
from device_jobs import environment, in_a_process, optimised
from flax.traverse_util import flatten_dict
from kills import Killed, killed_after
from recount import recount
from recoveries import EPOCHS, RATE, job, recovered
from torch_loop import blocks_of

import jaxprune as jp
from jaxprune.base.workdir.reading import OUTPUTS
from jaxprune.pages.job import run_from_config
from jaxprune.recovery import windows
from jaxprune.steps.finished_run import pruned_model


def output_of_block(model, ids, number):
    """What a block of a torch model returns; the pads come last, so no token sees them."""
    seen = []
    hook = blocks_of(model)[number].register_forward_hook(
        lambda _, given, output: seen.append(output)
    )
    model(input_ids=ids)
    hook.remove()
    return seen[0][0] if isinstance(seen[0], tuple) else seen[0]


def fitted_by_torch(dense, pruned, batch, blocks=1, held_out=1):
    """AdamW on the first blocks with steps relative to each tensor, one an epoch; dropped weights are set back to 0."""
    ids = torch.tensor(batch.tokens.astype(np.int64))
    order = np.random.default_rng(0).permutation(len(ids) // 2)  # in pairs of rows
    rows = [2 * unit + i for unit in sorted(order[held_out:]) for i in (0, 1)]
    valid = torch.tensor(batch.valid)
    with torch.no_grad():
        target = output_of_block(dense, ids, blocks - 1)
    variance = target[valid].var(dim=0, correction=0).sum()
    fitted = blocks_of(pruned)[:blocks]
    dropped = {name: p == 0 for name, p in fitted.named_parameters() if p.ndim == 2}
    groups = [{"params": [parameter]} for parameter in fitted.parameters()]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), weight_decay=1e-4)
    for step in range(EPOCHS):
        for group in optimizer.param_groups:
            size = float(group["params"][0].detach().square().mean().sqrt())
            group["lr"] = RATE * (1 + np.cos(np.pi * step / EPOCHS)) / 2 * max(size, 1e-3)
        output = output_of_block(pruned, ids, blocks - 1)
        error = ((output - target)[rows][valid[rows]] ** 2).sum()
        optimizer.zero_grad()
        (error / variance / valid[rows].sum()).backward()
        optimizer.step()
        with torch.no_grad():
            for name, parameter in fitted.named_parameters():
                if name in dropped:
                    parameter[dropped[name]] = 0
    return fitted


# without biases of keys, which softmax cancels: Adam would follow the rounding of their gradients
@pytest.mark.parametrize(
    ("name", "blocks"), [("qwen2", 1), ("gemma3", 1), ("qwen2", 2), ("gemma3", 2)]
)
def test_blocks_are_fitted_as_torch_fits_them(name, blocks, tiny_folder, tokens, tmp_path):
    folder = tiny_folder(name)
    window = {} if blocks == 1 else {"how": "window", "blocks": blocks, "stride": blocks}
    model, batches, pruned, result = recovered(folder, tokens, **window)
    assert len(batches) == 1  # of one length, so an epoch is one step
    for kind, params in (("pruned", pruned.params), ("recovered", result.params)):
        jp.export_hf(model, params, tmp_path / kind)
    load = transformers.AutoModelForCausalLM.from_pretrained
    dense, before, after = (load(f) for f in (folder, tmp_path / "pruned", tmp_path / "recovered"))
    expected = fitted_by_torch(dense, before, batches[0], blocks)
    found, start = (
        blocks_of(one)[:blocks].parameters() for one in (after, load(tmp_path / "pruned"))
    )
    for (path, one), other, first in zip(expected.named_parameters(), found, start, strict=True):
        moved = float((one - first).detach().abs().max())
        size = float(first.detach().square().mean().sqrt())
        assert moved > RATE / 2 * size, path  # Adam moves every parameter
        torch.testing.assert_close(other, one, rtol=0, atol=0.02 * moved, msg=path)


@pytest.mark.parametrize(
    ("name", "dtype", "how"),
    [
        ("bloom", "float32", "block"),
        pytest.param("gemma3", "bfloat16", "block", marks=pytest.mark.instructions),
        pytest.param("bloom", "bfloat16", "distil", marks=pytest.mark.instructions),
    ],
)
def test_zeros_stay_and_the_loss_falls(name, dtype, how, tiny_folder, tokens):
    model, _, pruned, result = recovered(tiny_folder(name), tokens, dtype=dtype, how=how)
    assert len(result.report["losses"]) == (1 if how == "distil" else model.config.n_layers)
    assert all(after < before for before, after in result.report["losses"])
    shown = [f"{loss:.3g}" for pair in result.report["losses"] for loss in pair]
    losses = result._repr_html_().partition("Loss on held-out samples")[2]
    assert re.findall("<td>(.*?)</td>", losses) == shown
    kernels = flatten_dict(dict(result.params["blocks"]), sep="/")
    before = flatten_dict(dict(pruned.params["blocks"]), sep="/")
    for path, keep in flatten_dict(pruned.masks["blocks"], sep="/").items():
        assert not kernels[path].view(np.uint32)[~keep].any()  # +0, not -0
        assert (kernels[path][keep] != before[path][keep]).mean() > 0.9
    norms = [path for path in kernels if path.endswith("norm/scale")]
    assert norms
    assert all((kernels[path] != before[path]).any() for path in norms)
    for part in ("embed", "head"):
        jax.tree.map(np.testing.assert_array_equal, result.params[part], model.params[part])


def test_what_is_stored_but_not_learned_stays(tiny_folder, tokens):
    _, _, pruned, result = recovered(tiny_folder("apertus"), tokens)
    before, after = (dict(one.params["blocks"])["mlp"] for one in (pruned, result))
    moved = {
        name: bool((after[name] != before[name]).any())
        for name in ("alpha_p", "alpha_n", "beta", "eps")
    }
    assert moved == {"alpha_p": True, "alpha_n": True, "beta": False, "eps": False}


def bits(result):
    return {path: leaf.tobytes() for path, leaf in flatten_dict(dict(result.params)).items()}


def test_the_bits_do_not_depend_on_the_devices(tiny_folder, tokens, tmp_path):
    in_a_process(optimised(environment(8)), "recover", tiny_folder("bloom"), tokens, tmp_path)
    for how, meshes in (("block", ("32", "81")), ("window", ("32",)), ("distil", ("32",))):
        expected, *others = sorted(tmp_path.glob(f"{how}-*.npz"))
        assert expected.name == f"{how}-11.npz"
        assert [file.stem for file in others] == [f"{how}-{mesh}" for mesh in meshes]
        for file in others:
            found = np.load(file)
            for path, leaf in np.load(expected).items():
                np.testing.assert_array_equal(found[path], leaf, err_msg=f"{file.name} {path}")


def test_stored_weights_of_bfloat16_are_rounded(tiny_folder, tokens, tmp_path):
    stored = transformers.AutoModelForCausalLM.from_pretrained(
        tiny_folder("llama"), dtype=torch.bfloat16
    )
    stored.save_pretrained(tmp_path)
    *_, pruned, result = recovered(tmp_path, tokens, learning_rate=1e-2)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(result.params["blocks"])} == {"bfloat16"}
    assert bits(result) != bits(pruned)
    assert all(after < before for before, after in result.report["losses"])


# Workdirs.


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tokens, tiny_folder):
    """(model, pruned run, recovered run)."""
    folder, model = tmp_path_factory.mktemp("runs"), tiny_folder("gemma3")
    run_from_config(job(model, tokens), folder / "pruned")
    fields = {"recovery__run": str(folder / "pruned"), "pruning__sparsity": 0.1}
    run_from_config(job(model, tokens, **fields), folder / "recovered")
    return model, folder / "pruned", folder / "recovered"


def report_of(run):
    return json.loads((run / "report.json").read_text())


def test_a_workdir_like_any_other(runs, tokens):
    model, pruned, done = runs
    assert recount(done) == []
    before, after = report_of(pruned), report_of(done)
    assert after["digests"]["masks"] == before["digests"]["masks"]
    assert json.loads((done / "config.json").read_text())["pruning"]["sparsity"] == 0.5
    assert len(after["losses"]) == 3
    text = (done / "hf/README.md").read_text()
    assert "- recovery.how: block\n" in text
    assert "jaxprune recover --config base --workdir RUN" in text
    assert "jaxprune prune --config base --workdir PRUNED" in text
    exported, overlaid = jp.load(done / "hf"), pruned_model(jp.load(model), done)
    for layer in range(3):
        jax.tree.map(np.testing.assert_array_equal, exported.block(layer), overlaid.block(layer))
    # which tokens statistics measure makes no difference
    batches = [
        dataclasses.replace(batch, counted=batch.valid & (np.arange(batch.valid.shape[1]) % 2 > 0))
        for batch in jp.token_batches(str(tokens))
    ]
    again = jp.recover(jp.load(model), pruned, batches, learning_rate=RATE, progress=False)
    jax.tree.map(np.testing.assert_array_equal, exported.params["blocks"], again.params["blocks"])


def test_a_recovery_that_crashed_goes_on_with_the_same_bits(runs, tokens, tmp_path, monkeypatch):
    model, pruned, done = runs
    config = job(model, tokens, recovery__run=str(pruned))
    calls = resumed(config, tmp_path / "run", 2, monkeypatch)
    assert calls == 1
    assert report_of(tmp_path / "run")["losses"] == report_of(done)["losses"]
    assert report_of(tmp_path / "run")["digests"] == report_of(done)["digests"]


def resumed(config, run, fits, monkeypatch):
    """Kills a recovery after some fits and repeats it; returns the number of fits of the second one."""
    whole, calls = windows.fit, []
    with monkeypatch.context() as patch:
        patch.setattr(windows, "fit", killed_after(iter(range(fits)), whole))
        with pytest.raises(Killed):
            run_from_config(config, run)
        patch.setattr(windows, "fit", lambda *arguments: calls.append(0) or whole(*arguments))
        run_from_config(config, run)
    return len(calls)


def in_windows(model, tokens, run, **fields):
    return job(
        model, tokens, recovery__run=str(run),
        **{"recovery__how": "window", "recovery__blocks": 2, "recovery__stride": 1, **fields},
    )  # fmt: skip


@pytest.mark.parametrize("how", ["window", "distil"])
@pytest.mark.parametrize("fits", [0, 1])
def test_windows_that_overlap_resume_with_the_same_bits(
    fits, how, runs, tokens, tmp_path, monkeypatch
):
    model, pruned, _ = runs
    config = in_windows(model, tokens, pruned, recovery__how=how)
    whole = run_from_config(config, tmp_path / "whole")
    assert len(whole["losses"]) == 2  # of three blocks
    assert all(after < before for before, after in whole["losses"])
    assert resumed(config, tmp_path / "run", fits, monkeypatch) == 2 - fits
    again = report_of(tmp_path / "run")
    assert again["losses"] == [[*pair] for pair in whole["losses"]]
    assert again["digests"] == whole["digests"]
    assert recount(tmp_path / "run") == []
    assert not (tmp_path / "run/progress").exists()


def test_a_shared_block_begins_as_the_window_before_left_it(runs, tokens, tmp_path):
    """The second window then has the loss of the blocks that the first one fitted, and of the third as pruned."""
    model, pruned, _ = runs
    shared, apart = (
        run_from_config(
            in_windows(model, tokens, pruned, recovery__stride=stride), tmp_path / str(stride)
        )
        for stride in (1, 2)
    )
    (_, (expected, _)), (_, (found, _)) = apart["losses"], shared["losses"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_windows_of_one_block_are_blocks(runs, tokens, tmp_path):
    model, pruned, done = runs
    report = run_from_config(
        in_windows(model, tokens, pruned, recovery__blocks=1), tmp_path / "run"
    )
    assert report["digests"] == report_of(done)["digests"]


def test_fields_of_windows_that_have_no_effect_or_contradict_are_refused(runs, tokens):
    model, pruned, _ = runs
    dense, batches = jp.load(model), jp.token_batches(str(tokens))
    for how, message in (
        (
            {"blocks": 2},
            r"recovery\.blocks: got 2; expected only with recovery\.how=window or distil",
        ),
        ({"stride": 2}, r"recovery\.stride: got 2; expected only with"),
        ({"how": "window", "blocks": 2, "stride": 3}, r"recovery\.stride: got 3; expected 1 to 2"),
    ):
        with pytest.raises(jp.InputError, match=message):
            jp.recover(dense, pruned, batches, progress=False, **how)


def test_another_recovery_is_another_run(runs, tokens):
    model, pruned, done = runs
    config = job(model, tokens, recovery__run=str(pruned), recovery__epochs=2)
    with pytest.raises(jp.InputError, match=r"complete run with config\.recovery\.epochs 4, now 2"):
        run_from_config(config, done)
    # it combines no statistics
    config = job(model, tokens, recovery__run=str(pruned), calibration__combine="max")
    assert run_from_config(config, done) == report_of(done)


def test_a_recovered_model_is_recovered_again(runs, tokens, tmp_path, capsys):
    model, _, done = runs
    config = job(model, tokens, recovery__run=str(done))
    report = run_from_config(config, tmp_path)
    assert "mean loss of a block on held-out samples" in capsys.readouterr().out
    assert recount(tmp_path) == []
    first = report_of(done)["losses"]
    for (before, after), (_, earlier) in zip(report["losses"], first, strict=True):
        assert after <= before < 1.1 * earlier
    card = (tmp_path / "hf/README.md").read_text()
    runs = ("PRUNED", "RECOVERED1", "RUN")
    for command, source, made in zip(("prune", *["recover"] * 2), ("", *runs), runs, strict=False):
        said = f"jaxprune {command} --config base --workdir {made} "
        [line] = [line for line in card.splitlines() if said in line]
        assert f"--config.recovery.run={source}" in line or not source
    dense = jp.load(model)
    again = jp.recover(dense, tmp_path, jp.token_batches(str(tokens)), epochs=1, progress=False)
    assert (
        jp.masks.overlap(again.masks, jp.checkpoint.restore(done / "checkpoint").masks).overall == 1
    )
    pruned_nano = jp.prune(jp.load("nano/gpt2"), criterion="magnitude", progress=False)
    with pytest.raises(jp.InputError, match=r"params: .*; expected floats of shape"):
        jp.recover(dense, pruned_nano, jp.token_batches(str(tokens)))
    with pytest.raises(jp.InputError, match="another model than the dense one of"):
        jp.recover(jp.load("nano/bloom"), done, jp.token_batches(str(tokens)))
    with pytest.raises(jp.InputError, match=f"^pruned: {tokens.parent} is not a finished run"):
        jp.recover(dense, tokens.parent, jp.token_batches(str(tokens)))


def test_what_is_no_finished_run_of_the_model_is_refused(runs, tokens, tiny_folder, tmp_path):
    model, pruned, _ = runs
    cases = [
        (
            model,
            None,
            "recovery.run: not set; expected the workdir of a finished run of prune, recover or shrink",
        ),
        (model, tmp_path, f"recovery.run: {tmp_path} is not a finished run"),
        (tiny_folder("llama"), pruned, f"another model than the dense one of {pruned}"),
    ]
    for dense, run, message in cases:
        with pytest.raises(jp.InputError, match=message):
            run_from_config(job(dense, tokens, recovery__run=run and str(run)), tmp_path / "out")
    config = job(model, tokens, recovery__run=str(pruned))
    with pytest.raises(jp.InputError, match=r"is recovery\.run itself"):
        run_from_config(config, pruned, overwrite=True)
    shutil.copytree(pruned, tmp_path / "copy")
    (tmp_path / "copy/checkpoint/metadata/metadata").write_text("{}")
    config = job(model, tokens, recovery__run=str(tmp_path / "copy"))
    with pytest.raises(jp.InputError, match=r"metadata.*expected an unchanged run"):
        run_from_config(config, tmp_path / "out")
    assert not any((tmp_path / "out" / name).exists() for name in OUTPUTS)


def test_some_samples_are_always_trained_on_and_values_are_refused(tiny_folder, tokens):
    model, batches = jp.load(tiny_folder("llama")), jp.token_batches(str(tokens))
    pruned = jp.prune(model, criterion="magnitude", progress=False)
    done = jp.recover(model, pruned, batches, held_out=0.99, epochs=1, progress=False)
    assert all(after < before for before, after in done.report["losses"])
    for name, value in (("epochs", 0), ("learning_rate", 0.0), ("batch", 0), ("held_out", 1.0)):
        with pytest.raises(jp.InputError, match=f"{name}: got {value}"):
            jp.recover(model, pruned, batches, progress=False, **{name: value})
    with pytest.raises(
        jp.InputError, match=r"pruned: got .*expected the result of jaxprune\.prune"
    ):
        jp.recover(model, pruned.params, batches)
