"""Work that tests do on one device themselves and have done on eight by a process of its own.

    JAX_NUM_CPU_DEVICES=8 python device_jobs.py JOB ARGUMENT...

Imports neither torch nor transformers, so that such a process starts fast.
"""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
from flax.traverse_util import flatten_dict

import jaxprune as jp
from jaxprune.devices import hosts
from jaxprune.devices.sharding import by_rows, device_mesh, replicated
from jaxprune.evaluation.generation.generator import Generator
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.hf import tensors
from jaxprune.hf.weights import Weights
from jaxprune.models import ModelConfig, init
from jaxprune.passes.blocks import blocks
from jaxprune.runs import checkpoint


def on_eight_devices(job, *arguments):
    """Runs a job of this file in a process that sees eight CPU devices."""
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "8", "JAX_PLATFORMS": "cpu"}
    environment.pop("XLA_FLAGS", None)
    command = [sys.executable, __file__, job, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Stands where a checkpoint would be read from, and never is.
NO_WEIGHTS = object.__new__(Weights)


def xglm_shaped(n_layers, d_model=32, d_ff=64):
    """A model of random weights that is on no disk."""
    config = ModelConfig(
        family="xglm", vocab_size=97, d_model=d_model, n_layers=n_layers, n_heads=4, n_kv_heads=4,
        head_dim=d_model // 4, d_ff=d_ff, activation="gelu", norm_eps=1e-5, tied_head=True,
        max_positions=256, position_zero_row=1, attention_scale=(d_model // 4) ** -0.5,
    )  # fmt: skip
    return jp.Model(config, Path("nowhere"), NO_WEIGHTS, init(config, 0))


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
    result = jp.prune(
        model, batches, mesh=mesh, criterion="refined", sparsity=0.5, progress=False, **settings
    )
    return flatten_dict({"masks": result.masks, "sums": result.stats.sum_sq}, sep="/")


# What is compared: three architectures, both dtypes, every propagation; one model whose products
# are large enough to be split over threads.
CASES = {
    "xglm-float32": {"dtype": "float32", "propagate": "site"},
    "xglm-bfloat16": {"dtype": "bfloat16", "propagate": "dense"},
    "bloom-float32": {"dtype": "float32", "propagate": "dense"},
    "bloom-bfloat16": {"dtype": "bfloat16", "propagate": "dense"},
    "gpt2-float32": {"dtype": "float32", "propagate": "dense"},
    "gpt2-bfloat16": {"dtype": "bfloat16", "propagate": "dense"},
    "gpt2-block": {"propagate": "block"},
    "wider-float32": {"dtype": "float32", "propagate": "dense", "length": 160},
}
# Cases on other meshes than 8 x 1: groups of devices, and devices of a group, which share a block.
MESHES = {
    "three": ("gpt2-float32", (3, 1)),
    "four groups": ("xglm-float32", (4, 2)),
    "two groups": ("bloom-bfloat16", (2, 4)),
    "one group": ("wider-float32", (1, 8)),
    "block": ("gpt2-block", (2, 2)),
}


def run_case(case, folder, *mesh):
    """One case; `folder` holds the tiny models by name."""
    name = case.partition("-")[0]
    model = xglm_shaped(2, 256, 1024) if name == "wider" else jp.load(folder / name)
    return pruned(model, device_mesh(*mesh), **CASES[case])


def prune_all(folder, out):
    """Every case on eight devices, some also on other meshes."""
    assert jax.device_count() == 8
    for case in CASES:
        np.savez(Path(out, case), **run_case(case, Path(folder), 8))
    for name, (case, mesh) in MESHES.items():
        np.savez(Path(out, name), **run_case(case, Path(folder), *mesh))


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
    sharded = sharded_params()
    assert [shard.data.shape for shard in sharded["rows"].addressable_shards] == [(1, 6)] * 8
    checkpoint.save(save_here, params=sharded, metadata={"devices": jax.device_count()})


def one_of_two(folder, saved_on_one, out, address, process):
    """In one of two processes: restores what a process alone saved, reads a model's blocks, saves them."""
    hosts.join(address, 2, int(process))
    restored_by_two(saved_on_one)
    read, fill = [], tensors._fill

    def counted(path, pieces):
        fill(path, (read.append(array.nbytes) or (offset, array) for offset, array in pieces))

    tensors._fill = counted
    found = list(blocks(jp.load(folder), "float32", device_mesh()))
    assert len(found) > 1
    params = {str(layer): host for layer, (host, _) in enumerate(found)}
    wide = {"int64": np.arange(4) + (1 << 40)}  # which JAX would narrow
    checkpoint.save(Path(out, "saved"), params=params | wide)
    np.savez(Path(out, process), read=sum(read))


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
    """Sequences generated greedily and by beam search, by prompt."""
    rng = np.random.default_rng(0)
    stem = rng.integers(0, 131, 30).tolist()
    prompts = [stem + rng.integers(0, 131, 1 + i).tolist() for i in range(20)]
    generator = Generator(jp.load(folder), mesh=device_mesh(devices), progress=False)
    found = {}
    for beams in (1, 2):
        got = generator(prompts, max_new_tokens=8, stop=range(20), beams=beams)
        found |= {f"{beams} {i}": np.array(tokens) for i, tokens in enumerate(got)}
    return found


def generate(folder, out):
    """Generates on eight devices."""
    np.savez(out, **generated(folder, 8))


if __name__ == "__main__":
    jobs = {
        "prune_all": prune_all,
        "checkpoints": checkpoints,
        "one_of_two": one_of_two,
        "score": score,
        "generate": generate,
    }
    jobs[sys.argv[1]](*sys.argv[2:])
