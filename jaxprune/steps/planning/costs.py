"""Costs of pruning: formulas of operations, bytes and memory over a model's sizes. Reads and compiles nothing."""

import dataclasses
import math
from collections.abc import Sequence

import jax.numpy as jnp

from jaxprune.data.batches import Batch
from jaxprune.evaluation.generation.generator import BATCH
from jaxprune.hf.weights import shapes, size
from jaxprune.models.block import SITES
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import attention_path, family_of, kernel_shapes, site_widths
from jaxprune.pruning.sensitivity import LENGTH, SAMPLES
from jaxprune.stats.predictions import LEAST
from jaxprune.stats.running import lanes_of
from jaxprune.stats.walk import rows_at_once

# Resident memory of a command that has imported its packages and compiled a model's passes, and of a tokenizer with its
# imports; measured on Linux. Outside the command line the tokenizer also imports an installed torch.
PROCESS = 400_000_000
TOKENIZER = 40_000_000
TOKEN = 1_300  # per token of a tokenizer's vocabulary, measured with Gemma 3
# Share of all other memory that allocators keep of freed blocks and states.
KEPT = 0.1
# Bytes per weight while its kernel is ranked: its score as a float and as an integer, and comparisons.
SELECTING = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """All inputs of the cost of a run except the machines.

    Attributes:
      config: sizes of the model.
      groups: samples, as (count, length) of each static shape; empty for criteria without statistics.
      propagate: "block", "dense" or "site".
      allocates: whether the allocation takes a pass of the dense model.
      dtype: dtype of the weights on the devices.
      stored: dtype of the checkpoint.
      hf: whether the pruned model is written, with embedding and head.
      params: whether all parameters are kept on the host for the Orbax checkpoint.
      samples: number of samples made from text, with a tokenizer; 0 for token ids.
      updates: whether the method changes weights, which are then written beside the masks.
      gram: whether Gram matrices are measured and factored, as for SparseGPT.
      packs: whether model.gguf is written, for which the embedding is in memory.
      writes: whether the model writes the samples first, with all its weights on the devices.
      sensitivities: whether the allocation measures the dense model with one kernel changed at a time.
    """

    config: ModelConfig
    groups: tuple[tuple[int, int], ...]
    propagate: str = "block"
    allocates: bool = False
    dtype: str = "float32"
    stored: str = "float32"
    hf: bool = True
    params: bool = False
    samples: int = 0
    updates: bool = False
    gram: bool = False
    packs: bool = False
    writes: bool = False
    sensitivities: bool = False


@dataclasses.dataclass(frozen=True)
class Machines:
    """The machines of a run.

    Attributes:
      data, model: the mesh of each process, see `sharding.device_mesh`.
      processes: one per host.
      platform: see `models.platform`.
    """

    data: int = 1
    model: int = 1
    processes: int = 1
    platform: str = "cpu"

    @property
    def devices(self) -> int:
        """Devices of one process."""
        return self.data * self.model

    @property
    def cpu(self) -> bool:
        """True if devices are cores, which share the host's memory."""
        return self.platform == "cpu"


def size_of(dtype: str) -> int:
    """Bytes of one number."""
    return jnp.dtype(dtype).itemsize


def kernel_sizes(config: ModelConfig) -> dict[str, int]:
    """Weights of each pruned kernel of a block, by path."""
    return {path: math.prod(shape) for path, shape in kernel_shapes(config).items()}


def kernel_weights(config: ModelConfig) -> int:
    """Weights of the pruned kernels of all blocks."""
    return config.n_layers * sum(kernel_sizes(config).values())


def site_sizes(config: ModelConfig) -> dict[str, int]:
    """Weights of the kernels that read each site."""
    sizes, reads = kernel_sizes(config), family_of(config).sites
    return {site: sum(n for path, n in sizes.items() if reads[path] == site) for site in SITES}


def part_size(config: ModelConfig, part: str) -> int:
    """Parameters of "embed", "head" or one of the "blocks"."""
    return sum(math.prod(s) for path, s in shapes(config).items() if path.startswith(f"{part}/"))


def operations(work: Work) -> int:
    """Operations of the products with kernels and of the sums of Gram matrices, in all passes over all samples.

    Attention's products, factors of Gram matrices and the updates of kernels are not counted.
    """
    config, kernels = work.config, sum(kernel_sizes(work.config).values())
    passes = (2 if work.propagate == "block" else 1) + work.allocates
    products = passes * kernels
    if work.gram:
        products += sum(width**2 for width in site_widths(config).values())
    tokens = sum(count * length for count, length in work.groups)
    total = 2 * tokens * config.n_layers * products
    if work.sensitivities:
        # each block runs once for the dense model, and for each kernel changed in it or below
        passes = len(kernel_sizes(config)) * (config.n_layers + 1) // 2 + 1
        total += 2 * _few_tokens(work) * config.n_layers * passes * kernels
    return total


def _few_tokens(work: Work) -> int:
    """Tokens on which sensitivities are measured."""
    return SAMPLES * min(LENGTH, max((length for _, length in work.groups), default=LENGTH))


def _sensitivity_memory(work: Work) -> dict[str, int]:
    """Bytes of a process while sensitivities are measured: the states of all changed models, and the head's rows."""
    config = work.config
    models = config.n_layers * len(kernel_sizes(config)) + 1
    block = part_size(config, "blocks")
    return {
        "states": 4 * _few_tokens(work) * config.d_model * models,
        "blocks": 3 * block * size_of(work.stored) + 3 * block * size_of(work.dtype),
        "head": 4 * min(LEAST, config.vocab_size) * config.d_model,
    }


def _gram_bytes(work: Work) -> int:
    """Bytes of the Gram matrices that are measured at once, for one set."""
    sizes = [4 * width**2 for width in site_widths(work.config).values()]
    return max(sizes) if work.propagate == "site" else sum(sizes)


def micro_batches(work: Work, machines: Machines, samples_per_device: int) -> int:
    """Micro-batches per device in one pass."""
    at_once = samples_per_device * machines.devices * machines.processes
    return sum(-(-count // at_once) for count, _ in work.groups)


def bytes_written(work: Work) -> int:
    """Bytes of masks and changed kernels, and of every copy of the pruned model that is written."""
    kernels = kernel_weights(work.config)
    layers = kernels // 8 + size_of(work.stored) * kernels * work.updates
    whole = size_of(work.stored) * size(work.config)
    return 2 * layers + whole * (work.hf + work.params)  # progress/ has a copy


def _activations(work: Work, machines: Machines, samples: int, length: int) -> int:
    config = work.config
    rows = samples if machines.cpu else rows_at_once(samples, length)
    heads = (config.n_heads + 2 * config.n_kv_heads) * config.head_dim
    # the widest activation before and after its function, or queries, keys and values in two layouts
    width = 2 * max(config.d_ff, heads) + config.d_model
    if (work.propagate == "dense" or work.allocates) and work.dtype == "float32":
        # sums may run concurrently with products and read the same arrays, so hardly any buffer is reused
        width += 4 * config.d_model + 2 * heads
    scores = attention_path(config, work.dtype, machines.platform).scores(rows * config.n_heads)
    return 4 * length * (samples * 2 * config.d_model + rows * width) + scores


def device_memory(work: Work, machines: Machines, samples_per_device: int) -> dict[str, int]:
    """Peak of one device by part.

    Returns:
      "weights": a block and the next one; "sums": Gram matrices; "gathered": kernels that a group of devices shares, of
      one site at a time; "activations": of a pass, with the states of two micro-batches; "selection": scores and masks,
      beyond activations; or those of `writing_memory` if they are more, on accelerators.
    """
    config, itemsize = work.config, size_of(work.dtype)
    by_site = site_sizes(config).values()
    kernels = sum(by_site)
    block = itemsize * (part_size(config, "blocks") - kernels + kernels // machines.model)
    length = max((length for _, length in work.groups), default=0)
    tokens = samples_per_device * length  # of one micro-batch
    states = 2 * 4 * tokens * config.d_model
    if work.propagate == "site":
        states += 2 * 4 * tokens * max(site_widths(config).values())
    busy = _activations(work, machines, samples_per_device, length) + states
    ranked = max(by_site) if work.propagate == "site" else kernels  # weights at once
    # with the masks, on their way to the weights
    selecting = ranked * (SELECTING + 1) // machines.devices + ranked // machines.model
    gram = lanes_of(machines.devices) * _gram_bytes(work) if work.gram else 0
    if work.gram:
        # one kernel: the matrix, its damped copy, its factor and the inverse; the weights, padded, new, and errors
        widest = max(site_widths(config).values())
        selecting = 4 * (5 * widest**2 + 5 * max(kernel_sizes(config).values())) - gram
    parts = {
        "weights": 2 * block,
        "sums": gram,
        "gathered": itemsize * max(by_site) if machines.model > 1 else 0,
        "activations": busy if work.groups else 0,
        "selection": max(0, selecting - busy) if work.groups else selecting,
    }
    if not work.writes or machines.cpu:
        return parts
    return _larger(parts, writing_memory(config, machines.devices))


def writing_memory(config: ModelConfig, devices: int = 1) -> dict[str, int]:
    """Bytes of a device while the model writes text, in float32: "all weights", and "logits" of its share of a batch.

    CPU devices share one copy of the weights.
    """
    logits = 3 * 4 * BATCH * config.vocab_size // devices
    return {"all weights": 4 * size(config), "logits": logits}


def _larger(parts: dict[str, int], others: dict[str, int]) -> dict[str, int]:
    return max(parts, others, key=lambda memory: sum(memory.values()))


def host_memory(work: Work, machines: Machines, samples_per_device: int) -> dict[str, int]:
    """Peak of one process by part; on CPUs including the devices.

    Returns:
      "process": Python, packages, compiled passes; "states": hidden states of all samples; "blocks": as stored: the
      current one, one prefetched, one being written; "masks": of all layers as bits, of two as bools; "sums": Gram
      matrices, of which some are being added; "params": with `work.params`; "file": the embedding, in float32
      and packed, with `work.packs`; "devices": on CPUs; "kept": by allocators. On CPUs those of `writing_memory` if
      they are more.
    """
    config, stored = work.config, size_of(work.stored)
    tokens = sum(count * length for count, length in work.groups) // machines.processes
    width = config.d_model
    if work.propagate == "site":
        width += max(site_widths(config).values())
    kernels = sum(kernel_sizes(config).values())
    block = part_size(config, "blocks")
    converted = 0 if work.dtype == work.stored else 2 * block * size_of(work.dtype)
    parts = {
        "process": PROCESS
        + bool(work.samples or work.packs) * (TOKENIZER + TOKEN * config.vocab_size),
        "states": 4 * tokens * width,
        "blocks": 3 * block * stored + converted,
        "masks": config.n_layers * kernels // 8 + 2 * kernels,
    }
    if work.gram:
        parts["sums"] = 2 * _gram_bytes(work)
    if work.packs:
        parts["file"] = 6 * config.vocab_size * config.d_model
    if work.params:
        parts["params"] = stored * size(config)
    if machines.cpu:
        parts["devices"] = machines.devices * sum(
            device_memory(work, machines, samples_per_device).values()
        )
    parts["kept"] = int(KEPT * (sum(parts.values()) - parts["process"]))
    if work.sensitivities:
        parts = _larger(parts, {"process": parts["process"], **_sensitivity_memory(work)})
    if not work.writes or not machines.cpu:
        return parts
    return _larger(parts, {"process": parts["process"], **writing_memory(config)})


def groups_of(batches: Sequence[Batch]) -> tuple[tuple[int, int], ...]:
    """(samples, length) of each batch, see `Work`."""
    return tuple((len(batch.tokens), batch.tokens.shape[1]) for batch in batches)
