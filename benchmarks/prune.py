"""Pruning here against the torch way, alternately in one run, on the same weights and tokens.

    python benchmarks/prune.py --model FOLDER --flores FOLDER
    python benchmarks/prune.py --shape bloom-560m

Prints seconds and ratios (torch's seconds over ours: above 1, this package is faster). Needs torch.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np
import timing
import torch
import torch_loop
import torch_ways
from random_checkpoint import SHAPES, write
from roofline import flops

from jaxprune.data.arrangements import paired, prompts, sample_lines
from jaxprune.data.batches import Batch
from jaxprune.data.ready_tokens import samples_of
from jaxprune.devices.sharding import one_cpu_device_per_core
from jaxprune.hf.model import load
from jaxprune.pruning.loop import prune_blocks
from jaxprune.pruning.settings import Settings
from jaxprune.stats.grouping import grouped
from jaxprune.steps.planning import costs

SPARSITY = 0.5


@dataclasses.dataclass
class Job:
    """One way to prune: a name and a function that returns its seconds."""

    name: str
    run: object
    seconds: list = dataclasses.field(default_factory=list)


def torch_job(folder, tokens, attention):
    def run():
        model = torch_ways.load(folder, attention=attention)
        layers, ids = torch_loop.layers_of(model), torch.from_numpy(tokens).long()
        start = time.perf_counter()
        torch_loop.prune(model, layers, ids, SPARSITY)
        return time.perf_counter() - start

    return run


def our_job(model, batches, propagate, dtype):
    settings = Settings(sparsity=SPARSITY, propagate=propagate, dtype=dtype)

    def run():
        start = time.perf_counter()
        for _ in prune_blocks(model, batches, settings, progress=False):
            pass
        return time.perf_counter() - start

    return run


def tokens_of(arguments, model):
    """(tokens [N, 512], mask [N, 512]): the authors' samples of FLORES, or random ones as long."""
    if not arguments.flores:
        rng = np.random.default_rng(0)
        tokens = rng.integers(3, model.config.vocab_size, (arguments.samples, 512)).astype(np.int32)
        lengths = rng.integers(256, 512, arguments.samples)
        return tokens, np.arange(512) < lengths[:, None]
    lines = [
        Path(arguments.flores, f"{code}.txt").read_text(encoding="utf-8").splitlines()
        for code in ("fr", "en")
    ]
    rows = sample_lines(len(lines[0]), "translation", 4, arguments.samples, 0, "official")
    texts = prompts(lines, ["fr", "en"], paired(rows), model.tokenizer.eos_token)
    tokens, mask = np.zeros((len(texts), 512), np.int32), np.zeros((len(texts), 512), bool)
    for i, text in enumerate(texts):
        ids = model.tokenizer(text).input_ids[:512]
        tokens[i, : len(ids)], mask[i, : len(ids)] = ids, True
    return tokens, mask


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a Hugging Face folder")
    parser.add_argument("--shape", choices=SHAPES, help="random weights of this block shape")
    parser.add_argument("--flores", help="folder of fr.txt and en.txt, for the samples")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--layers", type=int, default=12, help="of a random model")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    one_cpu_device_per_core()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments.model) if arguments.model else Path(scratch, "model")
        if not arguments.model:
            write(arguments.shape, folder, "float32", arguments.layers, vocab=4096)
        compare(arguments, folder)


def compare(arguments, folder):
    model = load(folder)
    tokens, mask = tokens_of(arguments, model)
    every = np.arange(len(tokens), dtype=np.int32)
    padded = [Batch(tokens, np.ones_like(mask), "tokens", every)]
    real = grouped([samples_of(tokens, mask)])
    ours = {
        "padded block": (padded, "block", "float32"),
        "real block": (real, "block", "float32"),
        "real site": (real, "site", "float32"),
        "real block bfloat16": (real, "block", "bfloat16"),
    }
    names = {"sdpa": "torch fused", "eager": "torch eager"}
    theirs = [
        Job(names[kind], torch_job(folder, tokens, kind)) for kind in torch_ways.attentions(folder)
    ]
    mine = [Job(name, our_job(model, *how)) for name, how in ours.items()]
    jobs = [*theirs[:1], *mine, *theirs[1:]]  # torch on either side, where there are two
    print(
        f"{arguments.shape or folder.name}: {len(tokens)} samples of 512, {mask.sum()} real tokens"
    )
    for job in mine:
        print(f"  {job.name}: first run, with compilation, {job.run():.1f} s", flush=True)
    rates: list = []
    for _ in range(arguments.repeats):
        rates.append(timing.matmul_rate())
        for job in jobs:
            job.seconds.append(job.run())
            print(f"  {job.name}: {job.seconds[-1]:.1f} s", flush=True)
    best = {job.name: min(job.seconds) for job in jobs}
    print(f"best of {arguments.repeats}; matmul {max(rates) / 1e9:.0f} GFLOP/s float32")
    for name, how in ours.items():
        ratios = [f"{job.name} {best[job.name] / best[name]:.2f}x" for job in theirs]
        print(f"  {name}: {best[name]:.1f} s; {', '.join(ratios)}", end="")
        if how[2] == "float32":
            work = costs.Work(config=model.config, groups=costs.groups_of(how[0]), propagate=how[1])
            rate = flops(work) / best[name]
            print(f"; {rate / 1e9:.0f} GFLOP/s, {rate / max(rates):.0%} of matmul", end="")
        print()
    print(f"  bfloat16 over float32: {best['real block'] / best['real block bfloat16']:.2f}x")


if __name__ == "__main__":
    main()
