"""Two processes of two devices each, over gloo, make what one process makes, bit for bit."""

import dataclasses
import json
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import device_jobs
import jax
import jobs
import numpy as np
import pytest
import tensorstore
from device_jobs import environment, prune_as_configured, prune_where_memory_is
from hypothesis import given, settings
from hypothesis import strategies as st
from ports import free_port
from recount import recount

import jaxprune as jp
from jaxprune.cli.config.validate import validate
from jaxprune.devices import hosts
from jaxprune.devices.sharding import device_mesh
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.pages.analyze import analyze_from_config
from jaxprune.pages.job import run_from_config
from jaxprune.runs.evaluate import evaluate_from_config
from jaxprune.stats.states import CalibrationStates
from jaxprune.steps.planning.costs import Machines
from jaxprune.steps.planning.plan import plan_from_config

ROOT = Path(__file__).parents[2]


def fields(tokens, **more):
    """What a run's config has changed."""
    given = {"calibration.kind": "tokens", "calibration.data": str(tokens), "output.params": True}
    return given | more


def start(model, tokens, workdir, places=(None, None), **more):
    """The two processes of a pruning run, in their working directories."""
    command = [
        sys.executable, str(ROOT / "scripts" / "prune.py"), f"--config={ROOT / 'configs' / 'base.py'}:{model}",
        f"--workdir={workdir}", *(f"--config.{name}={value}" for name, value in fields(tokens, **more).items()),
    ]  # fmt: skip
    return together(command, places)


def together(command, places=(None, None)):
    """Two processes of one command, each told of the other, with two CPU devices each."""
    more = [f"--coordinator=127.0.0.1:{free_port()}", "--processes=2"]
    return [
        subprocess.Popen(
            [*command, *more, f"--process={process}"], env=environment(2), cwd=place, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for process, place in enumerate(places)
    ]  # fmt: skip


def finish(processes):
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    return outputs


def outcome(workdir):
    report = json.loads((workdir / "report.json").read_text())
    stats = jp.checkpoint.restore_stats(workdir / "stats")
    sums = {
        (role, site): array.tobytes()
        for role, sites in stats.sum_sq.items()
        for site, array in sites.items()
    }
    return report["digests"], report["sparsity"], report["tokens"], sums


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens") / "tokens.npz"
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 131, (13, 40)).astype(np.int32)
    mask = np.arange(40) < rng.integers(5, 41, 13)[:, None]
    np.savez(path, input_ids=ids, attention_mask=mask.astype(np.int32), code_ids=ids[:5, ::-1])
    return path


PRUNED = "bloom"  # where process 1 has little memory
HOW = {"pruning.criterion": "refined", "pruning.propagate": "site"}
SPARSEGPT = {"pruning.criterion": "sparsegpt", "pruning.sparsity": 0.5}
READ = ("xglm", "gpt2")  # whose kernels are stored turned, and not
FIT = {"recovery.epochs": 2, "recovery.batch": 6}  # two steps at least


def read_evaluation(workdir):
    """Measurements, arrays and translations of an evaluation, but for the name of the run."""
    evaluation, rows = open_evaluation(workdir), {}
    for name, part in evaluation.parts.items():
        for code, one in part.rows.items():
            rows[name, code] = [
                np.asarray(column).tobytes() for column in one if column is not None
            ]
    return [row[1:] for row in evaluation.measurements], rows


ASKED = {
    "evaluation.tasks": "nano_nli", "evaluation.rows": 9, "evaluation.languages": "en,sw",
    "evaluation.perplexity": "nano", "evaluation.translation": "nano", "evaluation.translation_rows": 70,
}  # fmt: skip


ANALYZED = {"analysis.languages": "en,fr,sw", "calibration.samples": 5, "analysis.masks": None}


def scarce(model, changed, processes, devices):
    """The memory of a process that has room for one sample a device at a time and not for two."""
    found = plan_from_config(jobs.job(model, **changed))
    machines = Machines(devices, 1, processes)
    needs = [
        sum(dataclasses.replace(found, machines=machines, samples_per_device=samples).host.values())
        for samples in (1, 2)
    ]
    return sum(needs) // 2


def smaller(run):
    """The fields of a recovery of a smaller nano/bloom, whose run is made in this folder."""
    calibration = {
        "calibration.data": "nano", "calibration.kind": "monolingual", "calibration.source": "fr,sw",
        "calibration.samples": 12,
    }  # fmt: skip
    run_from_config(jobs.job("nano/bloom", "shrink", shrink__drop_layers="1"), run)
    how = {"recovery.how": "distil", "recovery.run": str(run)}
    return {"model": "nano/bloom", **calibration, **FIT, **how}


def recovery(model, tokens, folder):
    """The fields of a recovery of the pruned model."""
    how = {"recovery.how": "block", "recovery.run": str(folder / "pruned")}
    return {"model": str(model), **fields(tokens, **HOW), **FIT, **how}


@pytest.fixture(scope="module")
def pair(tiny_folder, tokens, tmp_path_factory):
    """What two processes did together, one thing after another: (folder, what each of them printed)."""
    folder = tmp_path_factory.mktemp("pair")
    jp.checkpoint.save(
        folder / "alone", params={"rows": np.arange(48, dtype=np.float32).reshape(8, 6)}
    )
    # several read every pass together, whether or not they have rows in it
    streamed = ASKED | {"evaluation.weights": "streamed"}
    for name in READ:
        (folder / "read" / name).mkdir(parents=True)
    plan = {
        "evaluate": [
            f"--config={ROOT / 'configs' / 'nano.py'}:bloom", f"--workdir={folder / 'evaluated'}",
            *(f"--config.{name}={value}" for name, value in streamed.items()),
        ],
        "saved": str(folder / "alone"),
        "analyze": [ANALYZED, str(folder / "analyzed")],
        "read": [[str(tiny_folder(name)), str(folder / "read" / name)] for name in READ],
        "recover": {
            "pruned": [recovery(tiny_folder(PRUNED), tokens, folder), str(folder / "pruned-recovered")],
            "smaller": [smaller(folder / "smaller"), str(folder / "smaller-recovered")],
        },
        "prune": [
            scarce(tiny_folder(PRUNED), fields(tokens, **HOW), processes=2, devices=2),
            str(folder / "pruned"), str(tiny_folder(PRUNED)), fields(tokens, **HOW),
        ],
        "sparsegpt": [str(folder / "sparsegpt"), str(tiny_folder("bloom")), fields(tokens, **SPARSEGPT)],
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(plan))
    job = [sys.executable, device_jobs.__file__, "one_of_two", str(folder / "plan.json")]
    return folder, finish(together(job))


def test_two_processes_make_the_bits_of_one(pair, tiny_folder, tokens, tmp_path):
    two, outputs = pair[0] / "pruned", pair[1]
    job = tiny_folder(PRUNED), fields(tokens, **HOW)
    little = scarce(*job, processes=1, devices=jax.device_count())
    assert prune_where_memory_is(little, tmp_path / "one", *job) == 1
    assert [Path(f"{two}-{process}").read_text() for process in range(2)] == ["1", "1"]
    assert outcome(tmp_path / "one") == outcome(two)
    assert recount(two) == []
    assert re.search(r"written +\S+: report.json, config.json, checkpoint", outputs[0])
    assert "written " not in outputs[1]
    report = json.loads((two / "report.json").read_text())
    assert report["environment"]["processes"] == 2


def test_two_processes_change_weights_as_one_within_rounding(pair, tiny_folder, tokens, tmp_path):
    """They add Gram matrices in another order, which is part of the identity of a run."""
    device_jobs.prune_as_configured(tmp_path, tiny_folder("bloom"), fields(tokens, **SPARSEGPT))
    runs = tmp_path, pair[0] / "sparsegpt"
    assert recount(runs[1]) == []
    reports = (json.loads((run / "report.json").read_text()) for run in runs)
    orders = [report["identity"]["running sums"] for report in reports]
    assert orders == ["8 lanes, 1 processes", "8 lanes, 2 processes"]
    blocks = [jp.load(run / "hf").params["blocks"] for run in runs]
    for one, two in zip(*map(jax.tree.leaves, blocks), strict=True):
        agree = (one == 0) == (two == 0)
        assert agree.mean() > 0.999
        assert np.linalg.norm((one - two)[agree]) < 1e-3 * np.linalg.norm(one)


def test_two_processes_evaluate_as_one(pair, tmp_path):
    config = runpy.run_path(str(ROOT / "configs" / "nano.py"))["get_config"]("bloom")
    config.update_from_flattened_dict(ASKED)
    evaluate_from_config(validate(config, "evaluate"), tmp_path)
    assert read_evaluation(tmp_path) == read_evaluation(pair[0] / "evaluated")


def test_two_processes_analyze_as_one(pair, tmp_path):
    summary = device_jobs.analyzed(ANALYZED, tmp_path)
    folders = tmp_path / "analysis", pair[0] / "analyzed" / "analysis"
    for name in ("magnitudes.npz", "language_neurons.npz"):
        one, two = (dict(np.load(folder / name)) for folder in folders)
        assert one.keys() == two.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], two[key])
    one, two = ((folder / "overlap.csv").read_text() for folder in folders)
    assert one == two
    both = json.loads((folders[1] / "analysis.json").read_text())
    assert both["overlap"] == summary["overlap"]
    assert both["environment"]["processes"] == 2
    assert sum("language neurons" in said for said in pair[1]) == 1


@pytest.mark.parametrize("name", ["pruned", "smaller"])
def test_two_processes_recover_as_one_within_rounding(name, pair, tmp_path):
    """Little of what a fit changes differs."""
    run = pair[0] / name
    fields, two = json.loads((pair[0] / "plan.json").read_text())["recover"][name]
    alone = device_jobs.recovered_run(fields, tmp_path)
    both = json.loads(Path(two, "report.json").read_text())
    assert recount(Path(two)) == []
    assert both["environment"]["processes"] == 2
    gradients = [report["identity"]["gradients"] for report in (alone, both)]
    assert gradients == ["1 processes", "2 processes"]
    np.testing.assert_allclose(alone["losses"], both["losses"], rtol=1e-4)
    assert all(after < before for before, after in both["losses"])
    folders = (Path(place, "hf") for place in (run, tmp_path, two))
    blocks = (jax.tree.leaves(jp.load(folder).params["blocks"]) for folder in folders)
    for start, a, b in zip(*blocks, strict=True):
        np.testing.assert_array_equal(a == 0, b == 0)
        assert np.linalg.norm(a - b) <= 1e-2 * np.linalg.norm(a - start)


@pytest.mark.parametrize(
    ("job", "command", "fields"),
    [(evaluate_from_config, "evaluate", ASKED), (analyze_from_config, "analyze", ANALYZED)],
)
def test_processes_with_different_jobs_are_rejected(job, command, fields, tmp_path, monkeypatch):
    def gathered(mine):
        return [mine, dict.fromkeys(mine, "0" * 64)]

    config = runpy.run_path(str(ROOT / "configs" / "nano.py"))["get_config"]("bloom")
    config.update_from_flattened_dict(fields)
    monkeypatch.setattr(hosts, "gather_json", gathered)
    with pytest.raises(jp.InputError, match=r"^process 1 has another job than process 0: model"):
        job(validate(config, command), tmp_path)
    assert not [*tmp_path.iterdir()]


def test_two_processes_are_stopped_and_one_goes_on(tokens, tmp_path, capfd):
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.BloomConfig(vocab_size=131, hidden_size=48, n_layer=24, n_head=4)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    prune_as_configured(tmp_path / "whole", tmp_path / "model", fields(tokens))
    processes = start(tmp_path / "model", tokens, tmp_path / "run")
    there = tmp_path / "run" / "progress" / "layer_00002.npz"
    while not there.is_file():
        assert processes[0].poll() is None, processes[0].communicate()
        time.sleep(0.002)
    processes[1].send_signal(signal.SIGTERM)  # one host is told, all stop at the same layer
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [143, 143], outputs
    capfd.readouterr()
    prune_as_configured(tmp_path / "run", tmp_path / "model", fields(tokens))
    assert "resuming after" in "".join(capfd.readouterr())
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_a_process_that_fails_takes_the_other_with_it(tiny_folder, tokens, tmp_path):
    places = [tmp_path / "0", tmp_path / "1"]
    for place in places:
        shutil.copytree(tiny_folder("bloom"), place / "model")
    (places[1] / "model" / "model.safetensors").unlink()
    processes = start("model", tokens, tmp_path / "run", places)
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [2, 2], outputs
    lines = [[line for line in output.splitlines() if "[Gloo]" not in line] for output in outputs]
    [said], [told] = lines[1], lines[0]
    assert said.startswith("error: model: no weights")
    assert told == said.replace("error: ", "error: process 1: ")
    assert not (tmp_path / "run" / "report.json").exists()


@pytest.mark.parametrize("name", READ)
def test_two_processes_read_and_write_half_each(name, pair, tiny_folder):
    out, folder = pair[0] / "read" / name, tiny_folder(name)
    model = jp.load(folder)
    blocks = {str(layer): model.block(layer) for layer in range(model.config.n_layers)}
    params = jp.checkpoint.restore(out / "saved").params
    assert params.pop("int64").tolist() == [(1 << 40) + i for i in range(4)]
    jax.tree.map(np.testing.assert_array_equal, params, blocks)
    total = sum(leaf.nbytes for leaf in jax.tree.leaves(blocks))
    read = [int(np.load(out / f"{process}.npz")["read"]) for process in range(2)]
    assert sum(read) == total
    assert read == pytest.approx([total / 2] * 2, rel=0.01)
    # the files also hold nodes of the database, as many as the timing of the writes leaves
    written = [chunk_bytes(out / "saved" / "params" / f"ocdbt.process_{i}") for i in range(2)]
    assert written == pytest.approx([sum(written) / 2] * 2, rel=0.1)


def chunk_bytes(database: Path) -> int:
    """The bytes of the chunks of arrays that a process wrote."""
    spec = {"driver": "ocdbt", "base": f"{database.as_uri()}/"}
    chunks = tensorstore.KvStore.open(spec).result()
    return sum(len(chunks[key]) for key in chunks.list().result())


@settings(deadline=None)
@given(st.lists(st.integers(1, 512), min_size=1, max_size=40), st.integers(1, 8))
def test_shares_are_contiguous_and_about_equal(costs, count):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "process_count", lambda: count)
        found = hosts.shares(np.array(costs))
    assert len(found) == count
    assert [unit for share in found for unit in share] == list(range(len(costs)))
    for number, share in enumerate(found, 1):  # ends within half a unit of its part
        off = sum(costs[: share.stop]) - sum(costs) * number / count
        assert abs(off) <= max(costs) / 2 + 1e-6


def test_too_few_samples_for_the_processes(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    tokens = np.ones((2, 4), np.int32)
    batch = jp.Batch(tokens, tokens > 0, "x", np.arange(2, dtype=np.int32))
    with pytest.raises(jp.InputError, match="2 samples are too few for 3 processes"):
        CalibrationStates([batch], device_mesh(), 2)


@pytest.mark.parametrize("flag", ["--processes", "--process"])
def test_a_missing_number_of_a_process_is_named(flag):
    numbers = {"--processes": 2, "--process": 0} | {flag: None}
    program = (
        f"from jaxprune.devices import hosts; hosts.join('127.0.0.1:1', *{[*numbers.values()]})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert f"InputError: {flag}: not set; expected it beside --coordinator" in done.stderr
