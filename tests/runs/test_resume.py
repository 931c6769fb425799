"""An interrupted run goes on and ends with the bits of one that was not."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from folder_contents import contents, flip_bit
from jobs import on_tokens
from kills import Killed, killed_after
from recount import recount

import jaxprune as jp
from jaxprune.base.workdir.differences import difference
from jaxprune.pages.job import run_from_config
from jaxprune.pruning import loop
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.runs.run import open_run
from jaxprune.steps import prune
from jaxprune.steps.identity import run_identity

ROOT = Path(__file__).parents[2]
RUNS = [*({"pruning__propagate": way} for way in PROPAGATIONS), {"pruning__criterion": "random"}]


def with_params(model, tokens, **fields):
    return on_tokens(model, tokens, **{"output__params": True, **fields})


def outcome(workdir):
    """What must be the same: digests, sparsity, statistics, the exported tensors' bytes."""
    report = json.loads((workdir / "report.json").read_text())
    stats = jp.checkpoint.restore_stats(workdir / "stats") if (workdir / "stats").is_dir() else None
    sums = [] if stats is None else [
        sums.tobytes() for by_site in stats.sum_sq.values() for sums in by_site.values()
    ]  # fmt: skip
    shards = {file.name: file.read_bytes() for file in (workdir / "hf").glob("*.safetensors")}
    return report["digests"], report["sparsity"], sums, shards


def crash(monkeypatch, config, workdir, after):
    """Runs and crashes after so many selections."""
    with monkeypatch.context() as patch:
        limited = killed_after(iter(range(after)), loop.prune_kernels)
        patch.setattr(loop, "prune_kernels", limited)
        with pytest.raises(Killed):
            run_from_config(config, workdir)


@pytest.mark.parametrize("fields", RUNS, ids=lambda fields: next(iter(fields.values())))
def test_a_run_that_crashed_goes_on_with_the_same_bits(
    fields, tiny_folder, tokens, tmp_path, monkeypatch
):
    config = with_params(tiny_folder("bloom"), tokens, **fields)
    run_from_config(config, tmp_path / "whole")
    each = 4 if fields.get("pruning__propagate") == "site" else 1  # selections a layer
    for after in (each + each // 2, each):  # within a layer; then one more layer
        crash(monkeypatch, config, tmp_path / "broken", after)
    assert {p.name for p in (tmp_path / "broken").iterdir()} == {"progress"}
    layers = len(list((tmp_path / "broken" / "progress").glob("layer_*.npz")))
    assert layers == 2
    selected, select = [], loop.prune_kernels

    def noted(block, **arguments):
        selected.append(block.layer)
        return select(block, **arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "prune_kernels", noted)
        run_from_config(config, tmp_path / "broken")
    assert selected == [2] * each
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")
    assert not (tmp_path / "broken" / "progress").exists()
    assert recount(tmp_path / "broken") == []


def test_a_method_that_changes_weights_goes_on_at_every_layer(
    tiny_folder, tokens, tmp_path, monkeypatch
):
    config = with_params(
        tiny_folder("qwen3"), tokens, pruning__propagate="site", pruning__criterion="sparsegpt"
    )
    run_from_config(config, tmp_path / "whole")
    layers = jp.load(tiny_folder("qwen3")).config.n_layers
    for _ in range(layers - 1):
        crash(monkeypatch, config, tmp_path / "broken", 4)
    run_from_config(config, tmp_path / "broken")
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")
    assert recount(tmp_path / "broken") == []


@pytest.mark.parametrize("criterion", ["sparsegpt", "magnitude"])
def test_a_run_that_crashed_measures_nothing_again(
    criterion, tiny_folder, tokens, tmp_path, monkeypatch
):
    config = with_params(
        tiny_folder("bloom"), tokens, pruning__criterion=criterion, pruning__allocation="owl",
        pruning__sparsity=0.5, pruning__ignore="1/mlp/out",
    )  # fmt: skip
    run_from_config(config, tmp_path / "whole")
    crash(monkeypatch, config, tmp_path / "broken", 2)
    record = json.loads((tmp_path / "broken" / "progress" / "run.json").read_text())
    assert len(record["measured"]) == jp.load(tiny_folder("bloom")).config.n_layers
    monkeypatch.setattr(prune, "measure_blocks", None)
    report = run_from_config(config, tmp_path / "broken")
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")
    assert not (tmp_path / "broken" / "progress").exists()
    assert recount(tmp_path / "broken") == []
    assert report["allocation"]["ignored"] == ["1/mlp/out"]
    assert len(report["allocation"]["measured"]) == len(report["sparsity"]["layers"])
    np.testing.assert_allclose(
        report["allocation"]["shares"], report["sparsity"]["layers"], atol=0.02
    )


# Another job in the same folder.


@pytest.fixture(scope="module")
def crashed(tiny_folder, tokens, tmp_path_factory):
    """A folder with a model, tokens and a run that crashed after a layer; a run has no paths in its files."""
    folder = tmp_path_factory.mktemp("crashed")
    shutil.copytree(tiny_folder("bloom"), folder / "model")
    shutil.copyfile(tokens, folder / "tokens.npz")
    config = with_params(folder / "model", folder / "tokens.npz")
    crash(pytest.MonkeyPatch, config, folder / "run", 1)
    return folder


@pytest.fixture
def unfinished(crashed, tmp_path):
    """(model, tokens, workdir) of a copy, whose files may be changed."""
    shutil.copytree(crashed, tmp_path, dirs_exist_ok=True)
    return tmp_path / "model", tmp_path / "tokens.npz", tmp_path / "run"


def change_model(model, tokens):
    flip_bit(model / "model.safetensors")
    return with_params(model, tokens)


def change_text(model, tokens):
    arrays = dict(np.load(tokens))
    arrays["input_ids"][0, 0] ^= 1
    np.savez(tokens, **arrays)
    return with_params(model, tokens)


def change_samples(model, tokens):
    arrays = {name: array[:-1] for name, array in np.load(tokens).items()}
    np.savez(tokens.with_name("fewer.npz"), **arrays)
    return with_params(model, tokens.with_name("fewer.npz"))


def change_config(model, tokens):
    return with_params(model, tokens, pruning__sparsity=0.4)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (change_model, "model '.*/model', now '.*/model'"),  # copies in another folder
        (change_text, r"calibration\.data '.*tokens\.npz', now '.*tokens\.npz'"),
        (change_samples, r"calibration\.data .*tokens\.npz', now .*fewer\.npz'"),
        (change_config, "config.pruning.sparsity 0.3, now 0.4"),
        (with_params, "code "),
    ],
)
def test_another_job_is_refused_and_named(unfinished, change, named, monkeypatch):
    model, text, workdir = unfinished
    config = change(model, text)
    if change is with_params:
        monkeypatch.setattr("jaxprune.steps.identity._code", lambda *parts: "other")
    before = contents(workdir)
    with pytest.raises(
        jp.InputError, match=f"contains an unfinished run with {named}.*--overwrite"
    ):
        run_from_config(config, workdir)
    assert contents(workdir) == before


def test_an_unfinished_run_is_replaced_when_told(unfinished):
    model, text, workdir = unfinished
    config = change_config(model, text)
    run_from_config(config, workdir, overwrite=True)
    run_from_config(config, workdir.with_name("fresh"))
    assert outcome(workdir) == outcome(workdir.with_name("fresh"))


def test_what_goes_into_the_hugging_face_folder_is_of_the_job(tiny_folder, tokens, tmp_path):
    model = shutil.copytree(tiny_folder("bloom"), tmp_path / "model")
    batches = jp.token_batches(str(tokens))

    def records():
        return [
            run_identity(jp.load(model), with_params(model, tokens, output__hf=hf).json(), batches)
            for hf in (True, False)
        ]

    (model / "tokenizer.json").write_text("{}")
    (model / "README.md").write_text("a model")
    before = records()
    (model / "README.md").write_text("my model")
    assert records() == before
    (model / "tokenizer.json").write_text("[]")
    exported, kept = records()
    assert re.match("file tokenizer.json '.*…', now '", difference(before[0], exported))
    assert kept == before[1]


def test_other_devices_and_evaluation_are_no_other_job(unfinished):
    model, text, workdir = unfinished
    run_from_config(with_params(model, text, mesh__data=1, evaluation__rows=3), workdir)
    run_from_config(with_params(model, text), workdir.with_name("fresh"))
    assert outcome(workdir) == outcome(workdir.with_name("fresh"))


def test_a_damaged_layer_is_refused(unfinished):
    model, text, workdir = unfinished
    file = workdir / "progress" / "layer_00000.npz"
    flip_bit(file, file.stat().st_size // 2)
    with pytest.raises(jp.InputError, match=r"layer_00000.npz: damaged; expected --overwrite"):
        run_from_config(with_params(model, text), workdir)


# Processes.


def deep_model(folder):
    """Enough layers that a process can be hit between them."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.BloomConfig(vocab_size=131, hidden_size=48, n_layer=24, n_head=4)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def start(model, tokens, workdir):
    command = [
        sys.executable, str(ROOT / "scripts" / "prune.py"), f"--config={ROOT / 'configs' / 'base.py'}:{model}",
        f"--workdir={workdir}", "--config.calibration.kind=tokens", f"--config.calibration.data={tokens}",
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.002)


@pytest.fixture(scope="module")
def deep(tmp_path_factory, tokens):
    """A deep model, and what a run on it that nobody touched gives."""
    folder = tmp_path_factory.mktemp("deep")
    deep_model(folder / "model")
    run_from_config(with_params(folder / "model", tokens, output__params=False), folder / "whole")
    return folder / "model", outcome(folder / "whole")


def gone_on(deep, tokens, workdir, capfd):
    """Runs the command of `start` in this process, to its end; what it says."""
    capfd.readouterr()
    run_from_config(with_params(deep[0], tokens, output__params=False), workdir)
    assert outcome(workdir) == deep[1]
    return "".join(capfd.readouterr())


def test_kills_change_no_bit(deep, tokens, tmp_path, capfd):
    """Killed at a random moment of probing and selecting, and while writing the end."""
    model, _ = deep
    rng = np.random.default_rng(0)
    workdir = tmp_path / "run"
    progress = workdir / "progress"

    def layers():
        return len(list(progress.glob("layer_*.npz")))

    for kill in range(2):
        process = start(model, tokens, workdir)
        if kill == 0:
            goal = int(rng.integers(1, 20))
            wait_for(lambda goal=goal: layers() >= goal, process)
            time.sleep(rng.uniform(0, 0.02))
        else:
            wait_for((progress / "checkpoint").is_dir, process)  # all layers are done
            time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.wait()
        if process.returncode != 0:
            assert not (workdir / "report.json").exists()
    assert "resuming after" in gone_on(deep, tokens, workdir, capfd)


def test_sigterm_finishes_the_layer(deep, tokens, tmp_path, capfd):
    model, _ = deep
    workdir = tmp_path / "run"
    process = start(model, tokens, workdir)
    wait_for((workdir / "progress" / "layer_00003.npz").is_file, process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate()
    assert process.returncode == 143
    done = len(list((workdir / "progress").glob("layer_*.npz")))
    assert f"terminated after {done} of 24 layers; the same command resumes" in output
    assert "Traceback" not in output
    assert not list(workdir.glob("*.new"))
    assert f"resuming after {done} of 24 layers" in gone_on(deep, tokens, workdir, capfd)


def test_two_runs_in_one_folder(unfinished):
    model, text, workdir = unfinished
    config = with_params(model, text)
    about = run_identity(jp.load(model), config.json(), jp.token_batches(str(text)))
    with (
        open_run(workdir, about, config.json()),
        pytest.raises(jp.InputError, match="another run is writing to"),
    ):
        run_from_config(config, workdir, overwrite=True)
    run_from_config(config, workdir)
    assert set(os.listdir(workdir)) >= {"report.json", "checkpoint", "hf"}
