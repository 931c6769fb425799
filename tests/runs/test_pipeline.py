"""Whole jobs on a bundled model: what is written, and what a run that dies leaves."""

import contextlib
import gc
import io
import json
import os
import re
import shutil
import weakref
from pathlib import Path

import jax
import numpy as np
import pytest
import transformers
from flax.traverse_util import flatten_dict
from jobs import job, on_tokens
from recount import recount
from run_scripts import run_alone

import jaxprune as jp
from jaxprune.devices import machine
from jaxprune.hf import finite
from jaxprune.hf.shards import ShardWriter
from jaxprune.nano import CHECKPOINTS
from jaxprune.pages.job import run_from_config
from jaxprune.stats.calibration_sets import demonstrations, token_batches
from jaxprune.steps import checkpoint, prune
from jaxprune.steps.samples import calibration_batches

MODEL = Path(CHECKPOINTS["bloom"])


def names(folder):
    return {path.name for path in folder.iterdir()}


def params_of_hf(folder):
    return jp.load(folder).params


def assert_equal(got, want):
    got, want = flatten_dict(got, sep="/"), flatten_dict(want, sep="/")
    assert set(got) == set(want)
    for path, value in want.items():
        np.testing.assert_array_equal(got[path], value, err_msg=path)


@pytest.fixture(scope="module")
def run(tokens, tmp_path_factory):
    """One refined job on ready-made tokens: (workdir, returned report, the same by the Python API)."""
    workdir = tmp_path_factory.mktemp("runs") / "deep" / "workdir"
    config = on_tokens(
        MODEL, tokens, pruning__criterion="refined", pruning__sparsity=0.5, output__params=True
    )
    report = run_from_config(config, workdir)
    result = jp.prune(
        jp.load(MODEL),
        token_batches(str(tokens)),
        criterion="refined",
        sparsity=0.5,
        progress=False,
    )
    return workdir, report, result


def test_all_files_of_the_contract_are_there_and_nothing_else(run):
    workdir, report, _ = run
    assert "languages" not in report  # token ids have none
    assert names(workdir) == {"config.json", "report.json", "checkpoint", "stats", "hf"}


def test_every_output_holds_what_the_python_api_gives(run):
    workdir, _, result = run
    saved = checkpoint.restore(workdir / "checkpoint")
    assert_equal(saved.masks, result.masks)
    assert_equal(saved.params, result.params)
    assert_equal(params_of_hf(workdir / "hf"), result.params)
    stats = checkpoint.restore_stats(workdir / "stats")
    assert_equal(stats.sum_sq, result.stats.sum_sq)
    assert (stats.count, stats.sites) == (result.stats.count, result.stats.sites)
    dense = jp.load(MODEL)
    assert_equal(jp.masks.apply(dense.params, saved.masks), saved.params)
    tokenizer = transformers.AutoTokenizer.from_pretrained(workdir / "hf")
    assert tokenizer("le chat : dort").input_ids == dense.tokenizer("le chat : dort").input_ids


def test_report(run, tokens):
    workdir, returned, result = run
    report = json.loads((workdir / "report.json").read_text())
    assert report == returned
    density = jp.masks.density(result.masks)
    assert report["sparsity"]["overall"] == pytest.approx(1 - density.overall) == pytest.approx(0.5)
    assert report["sparsity"]["layers"] == pytest.approx([1 - share for share in density.layers])
    assert set(report["sparsity"]["kernels"]) == {
        "attention/qkv/kernel", "attention/out/kernel", "mlp/up/kernel", "mlp/out/kernel",
    }  # fmt: skip
    arrays = np.load(tokens)
    assert report["tokens"] == {
        "tokens": int(arrays["attention_mask"].sum()), "code": arrays["code_ids"].size,
    }  # fmt: skip
    seconds = report["seconds"]
    assert {"prepare", "read", "statistics", "select", "forward", "total"} <= set(seconds)
    assert 0 < sum(seconds.values()) - seconds["total"] <= seconds["total"] + 0.05
    assert report["peak_memory_bytes"]["host"] > 50e6
    assert set(report["digests"]) == {"weights", "masks", "calibration"}
    assert set(report["models"]) == {"dense", "hf"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in report["digests"].values())
    environment = report["environment"]
    assert environment["jaxprune"] == jp.__version__
    assert environment["jax"] == jax.__version__
    assert environment["devices"] == "1 x cpu"
    assert report["identity"]["attention"] == "chunks of queries, head by head"
    assert {"flax", "orbax-checkpoint", "transformers", "numpy", "python"} <= set(environment)


def test_config_is_written_resolved_and_goes_into_the_checkpoint(run):
    workdir, report, _ = run
    config = json.loads((workdir / "config.json").read_text())
    assert config["model"] == str(MODEL)
    assert config["pruning"] == {
        "criterion": "refined", "sparsity": 0.5, "pattern": "unstructured", "threshold": "row",
        "drop": "lowest", "propagate": "block", "allocation": "uniform", "group": "row", "start": None,
        "slope": None, "ignore": None, "refit": False,
    }  # fmt: skip
    metadata = checkpoint.restore(workdir / "checkpoint").metadata
    assert metadata["config"] == config
    assert metadata["digests"] == report["digests"]
    assert metadata["environment"] == report["environment"]


@pytest.fixture(scope="module")
def in_words(tmp_path_factory):
    """A job on text: (workdir, returned report, what was printed)."""
    workdir = tmp_path_factory.mktemp("words")
    config = job(
        MODEL, calibration__data="nano", calibration__shots=2, calibration__samples=6,
        calibration__max_length=32, seed=3, pruning__propagate="dense", output__hf=False,
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        report = run_from_config(config, workdir)
    return workdir, report, printed.getvalue()


def test_text_demonstrations_and_only_what_is_wanted(in_words):
    workdir, report, _ = in_words
    assert names(workdir) == {"config.json", "report.json", "checkpoint", "stats"}
    loaded = jp.load(MODEL)
    batches = demonstrations(
        loaded.tokenizer,
        "nano",
        source="fr",
        target="en",
        shots=2,
        samples=6,
        max_length=32,
        seed=3,
    )
    result = jp.prune(loaded, batches, propagate="dense", sparsity=0.3, progress=False)
    saved = checkpoint.restore(workdir / "checkpoint")
    assert saved.params is None
    assert_equal(saved.masks, result.masks)
    tokens = sum(batch.num_tokens for batch in batches)
    assert report["tokens"] == {"translation": tokens}
    assert report["languages"] == {"translation": {"fr": tokens}}
    assert checkpoint.restore_stats(workdir / "stats").languages == report["languages"]


def test_a_criterion_without_statistics_reads_no_calibration(tmp_path):
    config = job(
        MODEL, calibration__data="/nowhere", pruning__criterion="magnitude", pruning__pattern="2:4"
    )
    report = run_from_config(config, tmp_path)
    assert names(tmp_path) == {"config.json", "report.json", "checkpoint", "hf"}
    assert report["tokens"] == {}
    assert report["sparsity"]["overall"] == 0.5
    assert json.loads((tmp_path / "config.json").read_text())["pruning"]["sparsity"] == 0.5


def dies_at_layer(layer):
    write = ShardWriter.write

    def die(self, tensors):
        if any(f".{layer}." in name for name in tensors):
            raise OSError("no space left on device")
        write(self, tensors)

    return die


def no_checkpoint(*_, **__):
    raise OSError("no space left on device")


DEATHS = {
    "the first block": (ShardWriter, "write", dies_at_layer(0)),
    "the last block": (ShardWriter, "write", dies_at_layer(3)),
    "the statistics": (checkpoint, "save_stats", no_checkpoint),
    "the checkpoint": (checkpoint, "save", no_checkpoint),
    "the summary": (prune, "sparsity_of", no_checkpoint),
}


@pytest.mark.parametrize(
    ("where", "before"),
    [*((where, "a whole run") for where in DEATHS), ("the summary", "nothing")],
)
def test_a_run_that_dies_leaves_nothing_that_looks_finished(
    where, before, run, tokens, tmp_path, monkeypatch
):
    workdir = tmp_path / "workdir"
    if before == "a whole run":
        shutil.copytree(run[0], workdir)
    config = on_tokens(MODEL, tokens, pruning__propagate="dense")
    with monkeypatch.context() as patch:
        patch.setattr(*DEATHS[where])
        with pytest.raises(OSError, match="no space left on device"):
            run_from_config(config, workdir, overwrite=True)
    if before == "a whole run":
        assert names(workdir) == names(run[0]) | {"progress"}
        assert recount(workdir) == []
    else:
        assert names(workdir) == {"progress"}


def test_a_run_that_reads_bad_weights_says_where(tokens, tmp_path, monkeypatch):
    """Layer 1 overflows: the error passes through writer and prefetcher; only layer 0 is kept."""
    loaded = jp.load(MODEL)
    params = jax.tree.map(np.copy, loaded.params)
    params["blocks"]["mlp"]["up"]["bias"][1, 0] = 1e30
    monkeypatch.setattr(finite, "_LIMIT", np.inf)  # as products of other weights would be
    broken = tmp_path / "broken"
    jp.export_hf(loaded, params, broken)
    with pytest.raises(jp.InputError, match="layer 1, site mlp_out"):
        run_from_config(on_tokens(broken, tokens), tmp_path / "workdir")
    assert names(tmp_path / "workdir") == {"progress"}
    layers = (tmp_path / "workdir" / "progress").glob("layer_*")
    assert [file.name for file in layers] == ["layer_00000.npz"]


def test_a_model_in_the_way_of_its_own_outputs_is_refused_and_left(run, tmp_path):
    """Pruning runs/x/hf once more into runs/x would take away what it reads."""
    workdir, link = tmp_path / "workdir", tmp_path / "link"
    shutil.copytree(run[0], workdir)
    link.symlink_to(workdir / "hf")
    for path in (workdir / "hf", link):
        with pytest.raises(jp.InputError, match=r"--workdir: .* contains the model itself"):
            run_from_config(job(path, pruning__criterion="magnitude"), workdir)
    assert names(workdir) == names(run[0])
    assert_equal(params_of_hf(workdir / "hf"), run[2].params)


# --- the script ---------------------------------------------------------------------------------


def test_the_script_prunes(tokens, run, tmp_path):
    """On one CPU device for each core, the masks of one device."""
    done = run_alone(
        "prune", "--config", f"configs/base.py:{MODEL}", "--workdir", tmp_path,
        "--config.calibration.kind=tokens", f"--config.calibration.data={tokens}",
        "--config.pruning.criterion=refined", "--config.pruning.sparsity=0.5",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert names(tmp_path) == {"config.json", "report.json", "checkpoint", "stats", "hf"}
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["environment"]["devices"] == f"{min(8, len(os.sched_getaffinity(0)))} x cpu"
    assert report["digests"] == run[1]["digests"]
    assert "4/4 layers" in done.stderr
    assert "sparsity" in done.stdout


def test_no_tokenizer_stays_in_memory_once_the_samples_are_read():
    model = jp.load(MODEL)
    tokenizer = weakref.ref(model.tokenizer)
    batches = calibration_batches(job(MODEL, calibration__data="nano"), model)
    gc.collect()
    assert batches
    assert tokenizer() is None
    assert model.tokenizer.eos_token_id is not None  # read again


def test_peak_memory_of_a_system_that_does_not_record_it(tmp_path, monkeypatch):
    (tmp_path / "status").write_text("VmSize:\t 9 kB\nVmRSS:\t 5 kB\n")  # as gVisor's
    monkeypatch.setattr(machine, "Path", lambda _: tmp_path / "status")
    assert machine.peak_memory()["host"] > 50e6
