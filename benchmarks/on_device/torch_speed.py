"""The same jobs in torch on the same device: bfloat16, transformers' fused attention where it has one, batches."""

import importlib.util

import numpy as np
import timing

from on_device.job import MACHINE, SPARSITY, SPEED_DTYPE, NotComparableError

# Rows of a batch, halved until the device has room for it.
BATCHES = {"prune": 16, "score": 32, "generate": 64}


def prune(job, side, model):
    """The published loop, several samples at a time."""
    device, attention, network = _open(job, model)
    import torch
    import torch_loop

    layers = torch_loop.layers_of(network)
    samples = torch.tensor(job.inputs(model)["samples"]).to(device)

    def run(batch):
        torch_loop.prune(network, layers, samples, SPARSITY, batch)

    return _timed(job, "prune", device, attention, run, samples.numel())


def score(job, side, model):
    """A padded row for each option of each question; rows of like length share a batch."""
    device, attention, network = _open(job, model)
    import torch_ways

    questions = job.inputs(model)["questions"]
    order = sorted(range(len(questions)), key=lambda i: len(questions[i]))
    found = [None] * len(questions)

    def run(batch):
        rows = torch_ways.scores(network, [questions[i] for i in order], batch)
        for i, row in zip(order, rows, strict=True):
            found[i] = row

    timed = _timed(job, "score", device, attention, run, sum(map(len, questions)))
    np.savez(job.arrays(side, "questions", model), scores=np.concatenate(found))
    return timed


def generate(job, side, model):
    """Transformers' generate, greedy."""
    device, attention, network = _open(job, model)
    import torch_ways

    prompts, new = job.inputs(model)["prompts"], job.sizes["new"]

    def run(batch):
        torch_ways.generated(network, prompts, (), new, batch)

    return _timed(job, "generate", device, attention, run, len(prompts) * new)


def _open(job, model):
    """(device, kind of attention, model); NotComparableError where torch does not see what JAX saw."""
    for name in ("torch", "transformers"):
        if importlib.util.find_spec(name) is None:
            raise NotComparableError(f"{name} is not installed")
    import torch
    import torch_ways

    platform = job.result(MACHINE)["platform"]
    if platform == "gpu" and not torch.cuda.is_available():
        raise NotComparableError(f"torch {torch.__version__} sees no GPU")
    if platform not in ("gpu", "cpu"):
        raise NotComparableError(f"torch runs on GPUs and CPUs here, not on {platform.upper()}s")
    device = "cuda:0" if platform == "gpu" else "cpu"
    attention = torch_ways.attentions(job.folder(model))[0]
    return device, attention, torch_ways.load(job.folder(model), SPEED_DTYPE, device, attention)


def _timed(job, name, device, attention, run, tokens):
    import torch

    on_gpu, batch = device != "cpu", BATCHES[name]
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()

    def call():
        nonlocal batch
        while True:
            try:
                run(batch)
                break
            except torch.OutOfMemoryError:
                if batch == 1:
                    raise
                batch //= 2
            torch.cuda.empty_cache()
        if on_gpu:
            torch.cuda.synchronize()

    times = timing.repeated(call, job.sizes["budget"])
    peak = torch.cuda.max_memory_allocated() if on_gpu else None
    return times | {"tokens": tokens, "batch": batch, "attention": attention, "peak_bytes": peak}
