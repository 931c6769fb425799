"""benchmarks/accelerator.py on the CPU: what it writes means what it says; what fails is told, and the rest goes on."""

import contextlib
import io
import json
import time
from unittest.mock import Mock

import accelerator
import jax
import numpy as np
import pytest
import random_checkpoint
import torch
import transformers
import work
from missing import without
from on_device import checks, processes, report, sizes
from on_device.job import Job
from safetensors.numpy import load_file, save_file

TINY = ("tiny-bloom", "tiny-llama")
SMALL = sizes.SMALL


def in_few_processes(job, stages=accelerator.stages):
    """The steps of all stages, in one process each for what makes the models, JAX and torch."""
    stages = stages(job)
    yield [[key for keys in next(stages) for key in keys]]
    rest = [key for stage in stages for keys in stage for key in keys]
    for of_torch in (False, True):
        yield [[key for key in rest if key.startswith("torch.") is of_torch]]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(exit code, stdout, accelerator.json, accelerator.md) of tiny models and one whose weights hold a NaN."""
    scratch = tmp_path_factory.mktemp("run")
    broken, out, missing = (scratch / name for name in ("broken", "out", "missing"))
    random_checkpoint.write("tiny-llama", broken, "float32")
    name = "model.layers.1.mlp.down_proj.weight"
    files = {file: load_file(file) for file in broken.glob("*.safetensors")}
    [file] = [file for file, tensors in files.items() if name in tensors]
    files[file][name][0, 0] = np.nan
    save_file(files[file], file)
    missing.mkdir()
    arguments = ["--small", "--minutes=60", f"--model={broken}", f"--out={out}"]
    environment = without(missing, "ml_collections", "vl_convert") | {"JAX_NUM_CPU_DEVICES": "2"}
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        patch.setattr("sys.argv", ["benchmarks/accelerator.py", *arguments])
        patch.setattr(accelerator, "signal", Mock())  # this process has handlers of its own
        for name in ("PYTHONPATH", "JAX_NUM_CPU_DEVICES"):
            patch.setenv(name, environment[name])
        patch.setitem(accelerator.MODELS, True, TINY)
        patch.setattr(accelerator, "stages", in_few_processes)
        with pytest.raises(SystemExit) as ended:
            accelerator.main()
    page = (out / "accelerator.md").read_text(encoding="utf-8")
    found = json.loads((out / "accelerator.json").read_text())
    return ended.value.code, said.getvalue(), found, page


@pytest.mark.instructions
def test_what_it_ran_on_and_with(run):
    _, said, found, page = run
    assert found["finished"], said
    machine = found["machine"]
    assert (machine["platform"], machine["count"], machine["memory_bytes"]) == ("cpu", 2, None)
    for package in (jax, torch, transformers):
        version = package.__version__.partition("+")[0]  # "+cu132" is of the build
        assert machine["versions"][package.__name__].partition("+")[0] == version
        assert f"{package.__name__} {version}" in page
    assert "ml_collections" not in machine["versions"]
    assert found["rates"]["matmul"]["bfloat16"] > 0
    assert said.count(page) == 1


@pytest.mark.instructions
def test_every_check_of_sound_models_is_passed_and_compared_with_something_else(run):
    *_, found, _ = run
    for name in TINY:
        rows = {row["what"]: row for row in found["models"][name]["checks"]}
        assert len(rows) == len(found["models"][name]["checks"]) == 15
        assert all(row.get("passed", True) for row in rows.values())
        # torch's own model rounds elsewhere, so it is near and not equal; so is bfloat16 to float32
        for what in ("log-probabilities, bfloat16, against torch's in bfloat16 on the device",
                     "logits, bfloat16, against float32 on the CPU"):  # fmt: skip
            assert 1e-4 < rows[what]["value"] < 3e-2
        assert 0.98 < rows["same weights kept, bfloat16, as in float32 on the CPU"]["value"] < 1
        assert rows["the same masks to the bit on 2 devices, float32"]["value"] == 1


def test_speed_is_tokens_over_seconds_and_shares_are_of_them(run):
    *_, found, _ = run
    tokens = {
        "prune": SMALL["samples"] * SMALL["length"],
        "generate": SMALL["prompts"] * SMALL["new"],
    }
    for name in TINY:
        for step, sides in found["models"][name]["speed"].items():
            ours, theirs = sides["jaxprune"], sides["torch"]
            assert ours["tokens"] == theirs["tokens"] == tokens.get(step, ours["tokens"])
            for side in sides.values():
                assert side["tokens_per_second"] == pytest.approx(side["tokens"] / side["seconds"])
                assert min(side["runs"]) <= side["seconds"] <= max(side["runs"])
            assert ours["over_torch"] == pytest.approx(theirs["seconds"] / ours["seconds"])
            for part, share in ours["shares"].items():
                assert share * ours["seconds"] == pytest.approx(ours["least_seconds"][part])
            assert ours["shares"]["products"] > 0
        memory = found["models"][name]["speed"]["prune"]["jaxprune"]["memory"]
        # on CPUs a process holds Python and JAX above all, which the plan counts
        assert 0.4 < memory["peak_bytes"] / memory["planned_bytes"] < 2
        attention = found["models"][name]["speed"]["score"]["torch"]["attention"]
        assert attention == ("eager" if name == "tiny-bloom" else "sdpa")


def test_a_model_that_is_broken_fails_in_its_rows_alone(run):
    code, said, found, page = run
    assert code == 1
    failures = {(one["model"], one["what"]): one["error"] for one in found["failures"]}
    assert {model for model, _ in failures} == {"broken"}
    for what in ("logits (device)", "masks (cpu)", "masks (device)", "score (device)"):
        error = failures["broken", what]
        assert "\n" not in error
        assert "NaN" in error
        assert any(
            line.endswith(f": {error}") and f"broken, {what}" in line for line in page.splitlines()
        )
        assert f"broken: {what}: {error}" in said
    # torch does not look at its weights
    assert "tokens_per_second" in found["models"]["broken"]["speed"]["prune"]["torch"]
    assert "failed" in page


def test_page_has_a_row_for_everything(run):
    *_, found, page = run
    for name in TINY:
        for job in report.JOBS.values():
            [row] = [line for line in page.splitlines() if line.startswith(f"| {name} | {job} |")]
            assert "failed" not in row
    [kept] = [line for line in page.splitlines() if "same weights kept, float32" in line]
    assert kept.startswith(
        "| same weights kept, float32, as in float32 on the CPU | at least 99.99% | 100.0000% |"
    )
    rows = {row["what"] for model in found["models"].values() for row in model["checks"]}
    assert all(page.count(f"\n| {what} |") == 1 for what in rows)


def test_large_models_are_refused_on_a_cpu(tmp_path, capsys):
    arguments = type("Arguments", (), {"small": False, "out": tmp_path})
    with pytest.raises(SystemExit) as stopped:
        accelerator.refuse({"platform": "cpu"}, arguments)
    assert stopped.value.code == 2
    assert "--small" in capsys.readouterr().err
    accelerator.refuse({"platform": "gpu"}, arguments)


# What becomes of processes.

WORKER = """
import json, os, pathlib, sys, time
folder, *keys = sys.argv[1:]
for key in keys:
    if "dies" in key:
        print("out of everything", file=sys.stderr, flush=True)
        os.abort()
    if "hangs" in key:
        time.sleep(600)
    pathlib.Path(folder, f"{key}.json").write_text(json.dumps({"took": 0}))
"""


@pytest.fixture
def runner(tmp_path, monkeypatch):
    (tmp_path / "worker.py").write_text(WORKER)
    job = Job.create(tmp_path, {}, SMALL)
    told = {}

    def make(deadline):
        command = (str(tmp_path / "worker.py"),)
        return processes.Runner(job, tmp_path, deadline, told.__setitem__, command), told

    monkeypatch.setattr(processes, "STEP_SECONDS", 2)
    return make


def test_steps_after_one_that_dies_or_hangs_are_done(runner):
    running, told = runner(time.monotonic() + 600)
    keys = [f"device.{step}.m" for step in ("first", "dies", "second", "hangs", "third")]
    running.run(keys)
    assert list(told) == keys
    died = told.pop("device.dies.m")["error"]
    assert died == "the process ended with signal 6: out of everything"
    assert told.pop("device.hangs.m")["error"] == "stopped after 2 s"
    assert set(map(str, told.values())) == {"{'took': 0}"}


def test_what_has_no_time_left_is_told(runner):
    running, told = runner(0)
    running.run(["device.first.m", "device.second.m"])
    errors = [one["error"] for one in told.values()]
    assert errors == ["not run: the time for the whole run was over"] * 2


# What passes for equal.


def answers(job, side, **arrays):
    for step, by_dtype in arrays.items():
        np.savez(job.arrays(side, step, "m"), **by_dtype)


def rounded(x, bits):
    """float32 with so many bits of its mantissa, as TF32 (10) and bfloat16 (7) have them."""
    whole = np.ascontiguousarray(x, np.float32).view(np.uint32)
    step = np.uint32(1 << (23 - bits))
    return ((whole + step // 2) & ~(step - 1)).view(np.float32)


def failed(job):
    rows = checks.compared(job, "m")
    assert not [row for row in rows if "error" in row]
    names = [row["what"].split(",") for row in rows if not row.get("passed", True)]
    return {name[0] + name[1] for name in names}


WHAT = ("logits", "log-probabilities")
ALL = {f"{what} {dtype}" for what in WHAT for dtype in ("float32", "bfloat16")}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (lambda x: x * (1 + 1e-6), set()),
        (lambda x: rounded(x, 10), {f"{what} float32" for what in WHAT}),
        (lambda x: np.where(np.arange(x.size) == 5, np.nan, x), ALL),
        (lambda x: x[::-1], ALL),
    ],
    ids=["float32", "TF32", "NaN", "other places"],
)
def test_errors_that_pass(tmp_path, found, expected):
    job = Job.create(tmp_path, {}, SMALL)
    rng = np.random.default_rng(0)
    logits, scores = rng.standard_normal((2, 4000)).astype(np.float32)
    exact = {"logits": logits, "scores": scores - 12}  # far from 0, as of a large vocabulary
    for side, change in (("cpu", np.asarray), ("device", found)):
        both = {
            step: dict.fromkeys(("float32", "bfloat16"), change(x)) for step, x in exact.items()
        }
        answers(job, side, **both)
    assert failed(job) == expected


@pytest.mark.parametrize(("apart", "expected"), [
    (0, set()), (5, set()), (50, {"same weights kept float32"}),
    (2000, {"same weights kept float32", "same weights kept bfloat16"}),
])  # fmt: skip
def test_weights_that_may_differ(tmp_path, apart, expected):
    job = Job.create(tmp_path, {}, SMALL)
    keep = np.random.default_rng(0).random(100_000) < 0.5
    other = keep ^ (np.arange(keep.size) < apart)
    for side, mask in (("cpu", keep), ("device", other)):
        bits = {f"{dtype}/kernel": np.packbits(mask) for dtype in ("float32", "bfloat16")}
        answers(job, side, masks=bits)
    assert failed(job) == expected
    rows = {row["what"]: row["value"] for row in checks.compared(job, "m")}
    assert rows["same weights kept, float32, as in float32 on the CPU"] == pytest.approx(
        1 - apart / keep.size
    )


def test_bounds_of_bfloat16_are_wider_where_it_is_coarse_on_the_cpu(tmp_path):
    """A device may be twice as far from float32 as the CPU; its masks as far from the CPU's as these from float32's."""
    job = Job.create(tmp_path, {}, SMALL)
    rng = np.random.default_rng(0)
    exact, noise = rng.standard_normal((2, 4000))
    keep = rng.random(100_000) < 0.5
    for side, far, flips in (("cpu", 0.1, 4000), ("device", 0.19, 7900)):
        answers(job, side, logits={"float32": exact, "bfloat16": exact + far * noise})
        other = keep ^ (np.arange(keep.size) < flips)
        bits = {"float32/kernel": np.packbits(keep), "bfloat16/kernel": np.packbits(other)}
        answers(job, side, masks=bits)
    assert failed(job) == set()
    answers(job, "device", logits={"float32": exact, "bfloat16": exact + 0.21 * noise})
    checks._errors.cache_clear()
    assert failed(job) == {"logits bfloat16"}


# What jobs take at least.


def test_operations_of_generating_are_those_of_torch_and_a_sum_over_keys(tmp_path):
    """Linear layers of transformers' generate, counted as they run, and attention, pair by pair."""
    config = random_checkpoint.write("tiny-llama", tmp_path / "model", "float32")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    counted = 0

    def count(linear, args, _):
        nonlocal counted
        counted += 2 * args[0].numel() * linear.out_features

    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(count)
    length, new = 11, 4
    model.generate(
        torch.arange(2 * length).reshape(2, length), do_sample=False, max_new_tokens=new, min_new_tokens=new
    )  # fmt: skip
    pairs = sum(place + 1 for place in range(length + new - 1))
    attention = 2 * config.n_layers * 2 * 2 * pairs * config.n_heads * config.head_dim
    operations, read = work.generating(config, [length] * 2, 0, new, 4)
    assert operations == counted + attention
    # each of the four passes reads all weights once, and all but the first the keys and values before its token
    linear = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear))
    cached = sum(length + step + 1 for step in range(new - 1)) * 2 * config.n_layers
    assert read == 4 * (new * linear + 2 * cached * config.n_kv_heads * config.head_dim)
