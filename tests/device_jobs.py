"""Work that tests do on one device themselves and have done on eight by a process of its own.

    JAX_NUM_CPU_DEVICES=8 python device_jobs.py JOB ARGUMENT...

Imports neither torch nor transformers, so that such a process starts fast.
"""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jobs import job

import jaxprune as jp
from jaxprune.cli.config.validate import validate
from jaxprune.devices import hosts, memory
from jaxprune.devices.sharding import by_rows, device_mesh, replicated
from jaxprune.evaluation.generation.generator import Generator
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.hf import tensors
from jaxprune.hf.source import InMemory
from jaxprune.hf.weights import shapes
from jaxprune.models.attention import attend, by_keys
from jaxprune.models.config import ModelConfig
from jaxprune.pages.analyze import analyze_from_config
from jaxprune.pages.job import run_from_config
from jaxprune.stats import walk
from jaxprune.stats.blocks import blocks
from jaxprune.steps import checkpoint, prune

ROOT = Path(__file__).parents[1]


def environment(devices):
    """The environment of a process that sees so many CPU devices."""
    return os.environ | {"JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu"}


def optimised(environment):
    """The environment with XLA's optimisations on, as outside tests; conftest.py turns them off."""
    return environment | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0", "XLA_FLAGS": ""}


def in_a_process(environment, job, *arguments):
    """Runs a job of this file in a process of its own."""
    command = [sys.executable, __file__, job, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def on_eight_devices(job, *arguments):
    """Runs a job of this file in a process that sees eight CPU devices."""
    in_a_process(environment(8), job, *arguments)


def xglm_shaped(n_layers, d_model=32, d_ff=64):
    """A model of random weights that is on no disk."""
    config = ModelConfig(
        family="xglm", vocab_size=97, d_model=d_model, n_layers=n_layers, n_heads=4, n_kv_heads=4,
        head_dim=d_model // 4, d_ff=d_ff, activation="gelu", norm_eps=1e-5, tied_head=True,
        max_positions=256, position_zero_row=1, attention_scale=(d_model // 4) ** -0.5,
    )  # fmt: skip
    return jp.Model(config, Path("nowhere"), InMemory(config, parameters(config)))


def parameters(config):
    """Random parameters by numpy, which compiles nothing; norms near 1."""
    rng = np.random.default_rng(0)

    def fill(path, leaf):
        values = 0.1 * rng.standard_normal(leaf.shape, np.float32)
        return values + 1 if path[-1].key == "scale" else values

    stacked = {
        path: (config.n_layers, *shape) if path.startswith("blocks/") else shape
        for path, shape in shapes(config).items()
    }
    leaves = {path: jax.ShapeDtypeStruct(shape, np.float32) for path, shape in stacked.items()}
    return jax.tree.map_with_path(fill, unflatten_dict(leaves, sep="/"))


def batch(role, rows, length, vocab, seed):
    """Samples of many lengths in one shape, in an order of their own."""
    rng = np.random.default_rng(seed)
    valid = np.arange(length) < rng.integers(1, length + 1, rows)[:, None]
    tokens = np.where(valid, rng.integers(0, vocab, (rows, length)), 0).astype(np.int32)
    return jp.Batch(tokens, valid, role, rng.permutation(rows).astype(np.int32))


def pruned(model, mesh, length=16, **settings):
    """Masks and statistics as one flat dict of arrays."""
    vocab = model.config.vocab_size
    batches = [batch("translation", 11, length, vocab, 1), batch("code", 5, length, vocab, 2)]
    settings = {"criterion": "refined", "sparsity": 0.5} | settings
    result = jp.prune(model, batches, mesh=mesh, progress=False, **settings)
    return flatten_dict({"masks": result.masks, "sums": result.stats.sum_sq}, sep="/")


def last_bits(kernel, norm):
    """Scores that the last bit of a sum over columns changes altogether."""
    bits = jax.lax.bitcast_convert_type(jnp.sum(abs(kernel), axis=1), jnp.int32)
    return abs(kernel) * (norm * (1 + bits % 7))[:, None]


# What is compared: three architectures, both dtypes, every propagation; a user's criterion, which may compare columns,
# on a model whose products are large enough to be split over threads; allocations that measure the model; programs as
# they are on accelerators.
CASES = {
    "xglm-float32": {"dtype": "float32", "propagate": "site", "allocation": "alpha"},
    "bloom-bfloat16": {"dtype": "bfloat16", "propagate": "dense"},
    "gpt2-float32": {"dtype": "float32", "propagate": "block", "allocation": "owl"},
    "wider-own": {
        "dtype": "float32", "propagate": "dense", "length": 160, "criterion": last_bits
    },
    "bloom-elsewhere": {
        "dtype": "float32", "propagate": "block", "length": 44, "allocation": "predictions"
    },
}  # fmt: skip
# What is run on eight devices, by the name of its file: on all of them, on fewer, and on groups of devices that share a
# block; every case once, and two of them also on a mesh of the other kind.
RUNS = {
    "eight": ("bloom-bfloat16", (8, 1)),
    "eight wider": ("wider-own", (8, 1)),
    "three": ("gpt2-float32", (3, 1)),
    "four groups": ("xglm-float32", (4, 2)),
    "two groups": ("bloom-bfloat16", (2, 4)),
    "one group": ("wider-own", (1, 8)),
    "shared elsewhere": ("bloom-elsewhere", (4, 2)),
}
# Those that are also compared with XLA's optimisations on: both dtypes, blocks whole and shared,
# products that are split over threads. The last one with these alone: without them, XLA of JAX 0.11 rounds otherwise
# after a kernel of this size that was gathered.
OPTIMISED = ("eight", "one group")
QUICK = tuple(file for file in RUNS if file != "one group")


def run_case(case, folder, *mesh):
    """One case; `folder` holds the tiny models by name."""
    name = case.partition("-")[0]
    model = xglm_shaped(1, 256, 1024) if name == "wider" else jp.load(folder / name)
    with pytest.MonkeyPatch.context() as patch:
        if case.endswith("elsewhere"):  # chunks of keys, one row after another
            for module in (attend, walk):
                patch.setattr(module, "platform", lambda: "gpu")
            patch.setattr(by_keys, "CHUNKS", (16,))
            patch.setattr(walk, "TOKENS_AT_ONCE", 44)
        return pruned(model, device_mesh(*mesh), **CASES[case])


def prune_all(folder, out, *files):
    """Runs of these names, each on its mesh; of those named `FILE alone`, on one device."""
    for file in files:
        case, mesh = RUNS[file.removesuffix(" alone")]
        mesh = (1, 1) if file.endswith(" alone") else mesh
        np.savez(Path(out, file), **run_case(case, Path(folder), *mesh))


def sharded_params():
    """Two arrays over all devices, one cut in rows and one whole on each."""
    mesh = device_mesh()
    rows = np.arange(8 * 6, dtype=np.float32).reshape(8, 6)
    whole = np.arange(5, dtype=np.float32)
    return {
        "rows": jax.device_put(rows, by_rows(mesh)),
        "whole": jax.device_put(whole, replicated(mesh)),
    }


def checkpoints(saved_on_one, save_here):
    """Restores onto all devices what one device saved; saves what lies on eight."""
    params = checkpoint.restore(saved_on_one, sharding=replicated(device_mesh())).params
    assert len(params["rows"].addressable_shards) == 8
    np.testing.assert_array_equal(params["rows"], np.arange(48.0).reshape(8, 6))
    np.testing.assert_array_equal(params["whole"], np.arange(5.0))
    mesh = device_mesh(4, 2)
    lie = {"rows": by_rows(mesh), "whole": replicated(mesh)}
    params = checkpoint.restore(saved_on_one, sharding=lie).params
    assert {name: leaf.sharding for name, leaf in params.items()} == lie
    np.testing.assert_array_equal(params["rows"], np.arange(48.0).reshape(8, 6))
    with pytest.raises(jp.InputError, match=r"^sharding: whole: got .* the shape \(5,\) evenly$"):
        checkpoint.restore(saved_on_one, sharding=by_rows(mesh))
    sharded = sharded_params()
    assert [shard.data.shape for shard in sharded["rows"].addressable_shards] == [(1, 6)] * 8
    checkpoint.save(save_here, params=sharded, metadata={"devices": jax.device_count()})


def sharded_masks():
    """Masks and pruned parameters lie where the parameters do, with the bits of one device."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((8, 64, 128)).astype(np.float32)
    expected = np.asarray(jp.masks.keep({"kernel": abs(weight)}, sparsity=0.3)["kernel"])
    for kinds in ((AxisType.Auto,) * 2, (AxisType.Explicit,) * 2):
        mesh = jax.make_mesh((2, 4), ("a", "b"), kinds)
        for spec in (("a",), (None, "b"), (None, None, "b"), ("a", "b"), (None, ("a", "b")), ()):
            lies = NamedSharding(mesh, PartitionSpec(*spec))
            params = {"kernel": jax.device_put(weight, lies)}
            masks = jp.masks.keep({"kernel": abs(params["kernel"])}, sparsity=0.3)
            assert masks["kernel"].sharding.is_equivalent_to(lies, 3)
            np.testing.assert_array_equal(masks["kernel"], expected)
            elsewhere = jax.device_put(expected, jax.devices()[3])
            for mask in (masks["kernel"], expected, elsewhere):
                pruned = jp.masks.apply(params, {"kernel": mask})["kernel"]
                assert pruned.sharding.is_equivalent_to(lies, 3)
                np.testing.assert_array_equal(pruned, np.where(expected, weight, 0))
            both = jp.masks.intersect(masks, jp.masks.invert(masks))["kernel"]
            assert both.sharding.is_equivalent_to(lies, 3)
            assert jp.masks.density(masks).overall == expected.mean()
            frozen_where_parameters_lie(params, expected)


def frozen_where_parameters_lie(params, mask):
    """State and updates of `masks.freeze`, also of a compiled step, lie where the parameters do."""
    lies, weight = params["kernel"].sharding, np.asarray(params["kernel"])
    for masks in ({"kernel": mask}, {"kernel": jax.device_put(mask, jax.devices()[3])}):
        rule = optax.chain(optax.trace(0.9), jp.masks.freeze(masks))
        for update in (rule.update, jax.jit(rule.update)):
            updates, state = update(params, rule.init(params), params)
            for leaf in (updates["kernel"], state[1].keep["kernel"], state[0].trace["kernel"]):
                assert leaf.sharding.is_equivalent_to(lies, 3)
            np.testing.assert_array_equal(updates["kernel"], np.where(mask, weight, 0))


def read_half(folder, out):
    """Reads a model's blocks as one of two processes, counts the bytes, and saves the blocks."""
    read, fill = [], tensors._fill

    def counted(path, pieces):
        fill(path, (read.append(array.nbytes) or (offset, array) for offset, array in pieces))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensors, "_fill", counted)
        found = list(blocks(jp.load(folder), "float32", device_mesh()))
    assert len(found) > 1
    params = {str(layer): host for layer, (host, _) in enumerate(found)}
    wide = {"int64": np.arange(4) + (1 << 40)}  # which JAX would narrow
    checkpoint.save(Path(out, "saved"), params=params | wide)
    np.savez(Path(out, str(jax.process_index())), read=sum(read))


def prune_as_configured(workdir, model, changed):
    """A pruning run of a config with these fields changed."""
    run_from_config(job(model, **changed), Path(workdir))


def prune_where_memory_is(bytes_here, workdir, model, changed):
    """`prune_as_configured` in a process that sees so much memory; how many samples a device took at a time."""
    chosen, prune_blocks = [], prune.prune_blocks

    def observed(*args, samples_per_device, **kwargs):
        chosen.append(samples_per_device)
        return prune_blocks(*args, samples_per_device=samples_per_device, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prune, "prune_blocks", observed)
        if bytes_here is not None:
            patch.setattr(memory, "available_memory", lambda: bytes_here)
        prune_as_configured(workdir, model, changed)
    [samples] = chosen
    return samples


def one_of_two(plan):
    """In one of two processes: evaluates as the script does, which joins them, and then works through the rest.

    Args:
      plan: JSON file with the arguments of scripts/evaluate.py but for those that join, the folder of a checkpoint
        that a process alone saved, the arguments of `read_half`, the fields and the workdir of an analysis, the
        arguments of `prune_where_memory_is`, of which the memory is that of process 1: process 0 has all that there is,
        by name the fields and the workdir of recoveries, and the arguments of `prune_as_configured`.
    """
    plan = json.loads(Path(plan).read_text())
    sys.argv[1:] = [*plan["evaluate"], *sys.argv[3:]]
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "scripts" / "evaluate.py"), run_name="__main__")
    assert not end.value.code
    restored_by_two(plan["saved"])
    wide = np.array([[1 / 3 + jax.process_index()]])  # of 64 bits, which JAX would round
    np.testing.assert_array_equal(hosts.gather(wide, [1, 1]), [[1 / 3], [1 / 3 + 1]])
    for arguments in plan["read"]:
        read_half(*arguments)
    analyzed(*plan["analyze"])
    process = jax.process_index()
    bytes_there, workdir, *job = plan["prune"]
    samples = prune_where_memory_is(bytes_there if process else None, workdir, *job)
    Path(f"{workdir}-{process}").write_text(str(samples))
    hosts.wait("report.json of process 0")
    for arguments in plan["recover"].values():
        recovered_run(*arguments)
    prune_as_configured(*plan["sparsegpt"])


def recovered_run(changed, workdir):
    """A recovery with these fields."""
    return run_from_config(job(changed["model"], "recover", **changed), Path(workdir))


def analyzed(changed, workdir):
    """An analysis of nano/bloom with these fields."""
    config = runpy.run_path(str(ROOT / "configs" / "nano.py"))["get_config"]("bloom")
    config.update_from_flattened_dict(changed)
    return analyze_from_config(validate(config, "analyze"), Path(workdir))


def restored_by_two(saved_on_one):
    """Each process restores onto its own devices what a process alone saved."""
    for sharding in (None, by_rows(device_mesh())):
        params = checkpoint.restore(saved_on_one, sharding=sharding).params
        np.testing.assert_array_equal(params["rows"], np.arange(48.0).reshape(8, 6))
    assert len(params["rows"].addressable_shards) == jax.local_device_count() == 2


def scored(folder, *mesh):
    """Log-probabilities of sequences that share prefixes, by sequence."""
    rng = np.random.default_rng(0)
    stem = rng.integers(0, 131, 30).tolist()
    sequences = [stem[: 10 + i] + rng.integers(0, 131, 40).tolist() for i in range(20)]
    got = Scorer(jp.load(folder), mesh=device_mesh(*mesh), progress=False)(sequences)
    return {str(i): scores.log_probabilities for i, scores in enumerate(got)}


def score(folder, out):
    """Scores on eight devices, which have whole blocks or share them."""
    np.savez(Path(out, "eight"), **scored(folder, 8))
    np.savez(Path(out, "shared"), **scored(folder, 4, 2))


def generated(folder, devices):
    """Sequences generated by prompt."""
    rng = np.random.default_rng(0)
    stem = rng.integers(0, 131, 30).tolist()
    prompts = [stem + rng.integers(0, 131, 1 + i).tolist() for i in range(20)]
    generator = Generator(jp.load(folder), mesh=device_mesh(devices), progress=False)
    got = generator(prompts, max_new_tokens=8, stop=range(20))
    return {str(i): np.array(tokens) for i, tokens in enumerate(got)}


def generate(folder, out):
    """Generates on eight devices."""
    np.savez(out, **generated(folder, 8))


def recover(folder, tokens, out):
    """Recovers a pruned model in every way: on one device, on eight, and on three groups of two that share a block."""
    model, batches = jp.load(folder), jp.token_batches(str(tokens))
    pruned = jp.prune(model, criterion="magnitude", sparsity=0.5, progress=False)
    for how, meshes in (
        ("block", ((1, 1), (8, 1), (3, 2))),
        ("window", ((1, 1), (3, 2))),
        ("distil", ((1, 1), (3, 2))),
    ):
        for mesh in meshes:
            blocks = {"blocks": 2} if how == "window" else {}
            result = jp.recover(
                model, pruned, batches, how=how, epochs=2, batch=8, mesh=device_mesh(*mesh),
                progress=False, **blocks,
            )  # fmt: skip
            blocks = flatten_dict(dict(result.params["blocks"]), sep="/")
            np.savez(f"{out}/{how}-{mesh[0]}{mesh[1]}.npz", **blocks)


if __name__ == "__main__":
    jobs = {
        "prune_all": prune_all,
        "checkpoints": checkpoints,
        "score": score,
        "generate": generate,
        "recover": recover,
        "sharded_masks": sharded_masks,
    }
    if sys.argv[1] == "one_of_two":  # what follows is for the script that it runs
        one_of_two(sys.argv[2])
    else:
        jobs[sys.argv[1]](*sys.argv[2:])
