"""Plans against what XLA allocates, what a process takes, and what the products of a traced pass count."""

import dataclasses
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import jobs
import numpy as np
import pytest
from device_jobs import optimised
from flax.traverse_util import flatten_dict
from jobs import on_tokens as job
from run_scripts import run_alone, run_here
from shaped_configs import CONFIGS

import jaxprune as jp
from jaxprune.devices import memory
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.weights import size
from jaxprune.models.model import family_of, load_config, modules
from jaxprune.nano import CHECKPOINTS
from jaxprune.pages.job import run_from_config
from jaxprune.pruning.budget import Budget
from jaxprune.pruning.criterion import Inputs, key_of_seed
from jaxprune.pruning.programs import prune_compiled
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.settings import Settings
from jaxprune.stats.calibration_sets import token_batches
from jaxprune.stats.walk import Context, run_segment
from jaxprune.steps.planning import chips, costs, plan
from jaxprune.steps.planning.costs import Machines, Work


def lowered(config, segment, rows, length, dtype="float32"):
    mesh = device_mesh(1)
    block = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.dtype(dtype)), modules(config).block[1]
    )
    x = jax.ShapeDtypeStruct((rows, length, config.d_model), jnp.float32)
    valid = jax.ShapeDtypeStruct((rows, length), bool)
    return block, run_segment.lower(
        (block, None), x, Context(valid), config=config, mesh=mesh, segment=segment
    )


def memory_of(compiled):
    found = compiled.memory_analysis()
    return found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes


@pytest.mark.parametrize(("propagate", "dtype"), [("block", "bfloat16"), ("dense", "float32")])
@pytest.mark.parametrize("name", CONFIGS)
def test_memory_of_a_pass_within_a_fifth_of_what_xla_allocates(propagate, name, dtype):
    config = CONFIGS[name]
    work = Work(config=config, groups=((2, 256),), propagate=propagate, dtype=dtype)
    _, passed = lowered(config, PROPAGATIONS[propagate].steps[-1].segment, 2, 256, dtype)
    parts = costs.device_memory(work, Machines(), 2)
    another = 2 * 4 * 2 * 256 * config.d_model  # the states of a second micro-batch
    predicted = parts["weights"] // 2 + parts["activations"] - another
    assert predicted == pytest.approx(memory_of(passed.compile()), rel=0.2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["bloom", "llama"])  # fused; grouped and gated
@pytest.mark.wrong_types  # `lower` puts descriptions of arrays into records
def test_memory_of_selection_within_a_fifth_of_what_xla_allocates(name, dtype):
    config = CONFIGS[name]
    work = Work(config=config, groups=(), dtype=dtype)
    block, _ = lowered(config, PROPAGATIONS["block"].steps[-1].segment, 2, 256, dtype)
    flat = flatten_dict(block, sep="/")
    kernels = {path: flat[path] for path in family_of(config).sites}
    settings, key = Settings(), key_of_seed(0)
    inputs = {}
    for path, leaf in kernels.items():
        norms = {"demonstrations": jax.ShapeDtypeStruct(leaf.shape[:1], jnp.float32)}
        inputs[path] = Inputs(norms, path, 0, key, settings.compat)
    budgets = {path: Budget.of(settings, path, leaf.shape) for path, leaf in kernels.items()}
    selected = prune_compiled.lower(
        kernels, inputs, budgets, method=settings.method, mesh=device_mesh(1)
    )
    parts = costs.device_memory(work, Machines(), 2)
    masks = sum(costs.kernel_sizes(config).values())  # on their way to the weights, after that
    predicted = parts["weights"] // 2 + parts["selection"] - masks
    assert predicted == pytest.approx(memory_of(selected.compile()), rel=0.2)


def test_pieces_and_bytes():
    work = Work(config=CONFIGS["bloom"], groups=((13, 64), (4, 128)), stored="bfloat16")
    assert costs.micro_batches(work, Machines(data=2), 2) == 4 + 1
    assert costs.micro_batches(work, Machines(data=2, model=2, processes=2), 2) == 1 + 1
    kernels = 3 * sum(costs.kernel_sizes(work.config).values())
    written = 2 * (kernels // 8) + 2 * size(work.config)
    assert costs.bytes_written(work) == written
    changed = dataclasses.replace(work, updates=True)  # kernels that changed are written twice
    assert costs.bytes_written(changed) == written + 2 * 2 * kernels


def test_operations_are_those_of_the_kernels():
    work = Work(config=CONFIGS["bloom"], groups=((13, 64), (4, 128)))
    tokens, kernels = 13 * 64 + 4 * 128, 3 * (4 * 256**2 + 2 * 256 * 1024)
    assert costs.operations(work) == 2 * 2 * tokens * kernels
    dense = dataclasses.replace(work, propagate="dense")
    assert costs.operations(dense) == 2 * tokens * kernels
    grams = 3 * (3 * 256**2 + 1024**2)
    with_grams = costs.operations(dataclasses.replace(dense, gram=True))
    assert with_grams == 2 * tokens * (kernels + grams)


def test_a_share_of_a_block_needs_less_of_a_device():
    work = Work(config=CONFIGS["bloom"], groups=((100, 64),), dtype="bfloat16")
    whole, half = (
        costs.device_memory(work, Machines(data=4 // model, model=model, platform="tpu"), 2)
        for model in (1, 2)
    )
    assert half["weights"] < 0.52 * whole["weights"]
    assert half["gathered"] > whole["gathered"] == 0


def test_an_accelerator_holds_the_activations_of_few_rows_at_once():
    def activations(rows, platform, dtype="bfloat16"):
        work = Work(config=CONFIGS["bloom"], groups=((8, 4096),), dtype=dtype)
        return costs.device_memory(work, Machines(platform=platform), rows)["activations"]

    states = 4 * 4096 * 256
    # of each more row a pass's input and output, and the states of two micro-batches
    assert activations(4, "tpu") - activations(2, "tpu") == 2 * 4 * states
    assert activations(4, "cpu") > 2 * activations(4, "tpu")
    # where no kernel does it, the scores of a chunk are in the memory of the device
    scores = activations(1, "gpu") - activations(1, "sm90")
    assert scores == 4 * 4 * 512 * 512


# Runs.

BLOOM = Path(CHECKPOINTS["bloom"])


@pytest.fixture
def tokens(tmp_path):
    np.savez(tmp_path / "tokens.npz", input_ids=np.ones((6, 40), np.int32))
    return tmp_path / "tokens.npz"


@pytest.mark.instructions
def test_a_run_that_cannot_fit_is_refused_before_it_starts(tokens, tmp_path, monkeypatch):
    config = job(BLOOM, tokens, output__params=True)
    batches = token_batches(tokens)
    whole = plan.plan_of(load_config(BLOOM), "float32", batches, config, device_mesh(1))
    slim = sum(whole.host.values()) - whole.host["params"]  # what is kept of them is room to spare
    monkeypatch.setattr(memory, "available_memory", lambda: slim)
    with pytest.raises(
        jp.InputError,
        match=r"memory: the run needs .* expected output.params=false.* a larger machine",
    ):
        run_from_config(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    run_from_config(job(BLOOM, tokens, output__params=False), tmp_path / "run")
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    with pytest.raises(jp.InputError, match=r"0\.0 MB are available; expected .* a larger machine"):
        run_from_config(config, tmp_path / "other")


def test_a_smaller_micro_batch_where_two_rows_do_not_fit():
    work = Work(config=CONFIGS["bloom"], groups=((8, 4096),))
    machines = Machines(platform="tpu")
    one, two = (sum(costs.device_memory(work, machines, rows).values()) for rows in (1, 2))
    assert plan.planned(work, machines, (two, None)).samples_per_device == 2
    smaller = plan.planned(work, machines, (two - 1, None))
    assert smaller.samples_per_device == 1
    assert smaller.fits == (True, True)
    none = plan.planned(work, machines, (one - 1, None))
    with pytest.raises(
        jp.InputError, match=r"on each device.*expected dtype=bfloat16 or a larger machine"
    ):
        plan.check_fits(none)
    shared = plan.planned(work, dataclasses.replace(machines, data=2), (one - 1, None))
    with pytest.raises(jp.InputError, match=r"expected a larger mesh\.model, dtype=bfloat16 or"):
        plan.check_fits(shared)


def test_fewer_samples_are_suggested_only_where_they_suffice():
    work = Work(config=CONFIGS["bloom"], groups=((8, 4096),), samples=8)
    host = plan.planned(work, Machines(), (None, 1)).host  # with the smallest micro-batch
    needed = sum(host.values())
    with pytest.raises(jp.InputError, match=r"expected .*fewer calibration\.samples or a larger"):
        plan.check_fits(plan.planned(work, Machines(), (None, needed - host["states"])))
    with pytest.raises(jp.InputError, match=r"expected (?!.*calibration\.samples).*a larger"):
        plan.check_fits(plan.planned(work, Machines(), (None, needed - host["states"] - 1)))


def test_host_memory_within_a_fifth_of_what_a_process_takes(tmp_path, monkeypatch, capfd):
    """Most of it is Python and its packages; benchmarks/memory.py does the same for large models."""
    arguments = (
        "--config=configs/nano.py:bloom", f"--workdir={tmp_path / 'run'}", "--config.mesh.data=1",
        "--config.calibration.max_length=64",
    )  # fmt: skip
    told = run_here(monkeypatch, capfd, "prune", *arguments, "--plan").stdout
    planned = float(re.search(r"host +([\d.]+) GB", told)[1])
    assert not (tmp_path / "run").exists()
    # compiling takes memory: more where it optimises, none for programs that an earlier test saved
    environment = optimised({"JAX_ENABLE_COMPILATION_CACHE": "false"})
    done = run_alone("prune", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert planned == pytest.approx(report["peak_memory_bytes"]["host"] / 1e9, rel=0.2)


def test_a_plan_reads_config_json_alone(tmp_path, capsys):
    """Of a published size, without weights."""
    raw = {"model_type": "bloom", "hidden_size": 4096, "n_layer": 30, "n_head": 32}
    raw |= {"vocab_size": 250880, "dtype": "bfloat16"}
    (tmp_path / "config.json").write_text(json.dumps(raw))
    config = jobs.job(tmp_path, dtype="bfloat16", mesh__data=1, calibration__data="nano")
    plan.print_plan(config, plan.plan_from_config(config))
    said = capsys.readouterr().out
    assert "30 blocks, 6,041.4 million weights in them, stored as bfloat16" in said


def test_a_pattern_that_does_not_fit_is_refused(tokens, tmp_path):
    config = job(BLOOM, tokens, pruning__pattern="3:5", pruning__sparsity=None)
    message = "pattern: attention/qkv/kernel has 128 inputs; expected a multiple of 5"
    with pytest.raises(jp.InputError, match=message):
        plan.plan_from_config(config)
    with pytest.raises(jp.InputError, match=message):
        run_from_config(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_that_writes_its_samples_needs_all_its_weights():
    model = "bigscience/bloom-7b1"
    config = jobs.job(model, calibration__kind="generated", calibration__source="fr")
    read = jobs.job(model, calibration__kind="monolingual", calibration__data="nano")
    writes, reads = (plan.plan_from_config(job) for job in (config, read))
    assert sum(writes.host.values()) > 4 * 7.069e9 > 2 * sum(reads.host.values())
    rented = plan.plan_from_config(config, rented=chips.rented("h100"))
    assert sum(rented.device.values()) > 4 * 7.069e9
