"""Costs of pruning: formulas of operations, bytes and memory over a model's sizes. Reads and compiles nothing."""

import collections
import dataclasses
import math
from collections.abc import Sequence

import jax.numpy as jnp

from jaxprune.base.errors import refusal
from jaxprune.data.batches import Batch
from jaxprune.hf.weights import shapes, size
from jaxprune.models.block import SITES
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import attention_path, family_of, kernel_shapes, site_widths
from jaxprune.stats.inverse_factor import BLOCK
from jaxprune.stats.running import lanes_of
from jaxprune.stats.walk import rows_at_once

# Resident memory of a command that has imported its packages and compiled a model's passes, and of a tokenizer with its
# imports; measured on Linux. Outside the command line the tokenizer also imports an installed torch.
PROCESS = 450_000_000
TOKENIZER = 40_000_000
TOKEN = 1_300  # of a tokenizer's vocabulary, measured with Gemma 3
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
      dtype: of the weights on the devices.
      stored: dtype of the checkpoint.
      hf: whether the pruned model is written, with embedding and head.
      params: whether all parameters are kept on the host for the Orbax checkpoint.
      samples: number of those that are made from text, with a tokenizer; 0 for token ids.
      updates: whether the method changes weights, which are then written beside the masks.
      gram: whether Gram matrices are measured and factored, as for SparseGPT.
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


@dataclasses.dataclass(frozen=True)
class Chip:
    """One device.

    Attributes:
      platform: see `models.platform`.
      flops: operations per second, by dtype of the factors; sums are float32.
      memory: bytes.
      bandwidth: of the memory, bytes per second.
      link: to the host's memory, bytes per second.
    """

    platform: str
    flops: dict[str, float]
    memory: float
    bandwidth: float
    link: float


def _gpu(platform: str, bfloat16: float, float32: float, *rest: float) -> Chip:
    return Chip(platform, {"bfloat16": bfloat16 * 1e12, "float32": float32 * 1e12}, *rest)


def _tpu(bfloat16: float, memory: float, bandwidth: float) -> Chip:
    """TPUs compute a float32 product as six bfloat16 products."""
    flops = {"bfloat16": bfloat16 * 1e12, "float32": bfloat16 * 1e12 / 6}
    return Chip("tpu", flops, memory, bandwidth, 15e9)


# GPUs: NVIDIA's data sheets (A100 80GB SXM, L4, H100 SXM, H200 SXM, HGX B200), without sparsity; links are PCIe x16 of
# generation 4 (A100, L4), 5 (H100, H200) and 6. TPUs: cloud.google.com/tpu/docs; their link is the value of
# jax-ml.github.io/scaling-book for PCIe.
CHIPS = {
    "a100": _gpu("sm80", 312, 19.5, 80e9, 2.039e12, 32e9),
    "l4": _gpu("sm80", 121, 30.3, 24e9, 300e9, 32e9),
    "h100": _gpu("sm90", 989, 67, 80e9, 3.35e12, 64e9),
    "h200": _gpu("sm90", 989, 67, 141e9, 4.8e12, 64e9),
    "b200": _gpu("sm90", 2250, 75, 180e9, 7.7e12, 128e9),
    "v5e": _tpu(197, 16e9, 819e9),
    "v5p": _tpu(459, 95 * 2**30, 2.765e12),
    "v6e": _tpu(918, 32e9, 1.64e12),
}


def chip_of(name: str) -> Chip:
    """The chip of this name in `CHIPS`; rejects another one."""
    if name not in CHIPS:
        raise refusal("--chip", name, ", ".join(CHIPS))
    return CHIPS[name]


def size_of(dtype: str) -> int:
    """Bytes of one number."""
    return jnp.dtype(dtype).itemsize


def kernel_sizes(config: ModelConfig) -> dict[str, int]:
    """Weights of each pruned kernel of a block, by path."""
    return {path: math.prod(shape) for path, shape in kernel_shapes(config).items()}


def site_sizes(config: ModelConfig) -> dict[str, int]:
    """Weights of the kernels that read each site."""
    sizes, reads = kernel_sizes(config), family_of(config).sites
    return {site: sum(n for path, n in sizes.items() if reads[path] == site) for site in SITES}


def part_size(config: ModelConfig, part: str) -> int:
    """Parameters of "embed", "head" or one of the "blocks"."""
    return sum(math.prod(s) for path, s in shapes(config).items() if path.startswith(f"{part}/"))


def flops(work: Work) -> int:
    """Operations of the products in all passes over all samples; of attention only causal pairs within windows.

    A statistics pass omits a block's last product, and no pass but that of an allocation computes the last block's
    output. Passes that are repeated by site are not counted.
    """
    config = work.config
    kernels = sum(kernel_sizes(config).values())
    last = config.d_ff * config.d_model
    windows: collections.Counter[int | None] = collections.Counter()
    period = len(config.pattern)
    for place, kind in enumerate(config.pattern):  # a config may have any number of layers
        windows[config.kinds[kind].window] += len(range(place, config.n_layers, period))
    final = config.kind(config.n_layers - 1).window
    passes = 2 if work.propagate == "block" else 1  # but one through the last layer
    total = 0
    for count, length in work.groups:
        products, skipped = (2 * count * length * size for size in (kernels, last))
        total += (config.n_layers - 1) * (passes * products - (passes - 1) * skipped)
        total += products - skipped + work.allocates * config.n_layers * products
        for window, layers in windows.items():
            times = (passes + work.allocates) * layers - (passes - 1) * (window == final)
            total += times * _attention(config, count, length, window)
    if work.gram:
        total += config.n_layers * _second_order(work)
    return total


def _second_order(work: Work) -> int:
    """Operations of one layer for Gram matrices, their factors, and the updates of kernels."""
    widths = site_widths(work.config).values()
    tokens = sum(count * length for count, length in work.groups)
    # the factor by halves: four products of (D/2)³ multiplications, and the same of each half
    measured = sum(2 * tokens * width**2 + 4 * width**3 // 3 for width in widths)
    kernels = kernel_shapes(work.config).values()
    return measured + sum(2 * rows * (rows + BLOCK) * out for rows, out in kernels)


def _gram_bytes(work: Work) -> int:
    """Bytes of the Gram matrices that are measured at once, for one set."""
    sizes = [4 * width**2 for width in site_widths(work.config).values()]
    return max(sizes) if work.propagate == "site" else sum(sizes)


def _attention(config: ModelConfig, count: int, length: int, window: int | None) -> int:
    """Operations of attention's two products in one layer."""
    seen = length if window is None else min(window, length)
    pairs = 2 * seen * length - seen * seen  # twice the number of visible pairs of query and key
    return 2 * count * pairs * config.n_heads * config.head_dim


def micro_batches(work: Work, machines: Machines, samples_per_device: int) -> int:
    """Micro-batches per device in one pass."""
    every = samples_per_device * machines.devices * machines.processes
    return sum(-(-count // every) for count, _ in work.groups)


def bytes_read(work: Work, machines: Machines) -> int:
    """Bytes that process 0 reads: its share of the common tensors, and all that it copies to hf/."""
    blocks = work.config.n_layers * part_size(work.config, "blocks")
    others = size(work.config) - blocks
    shared = (blocks + work.params * others) // machines.processes
    return size_of(work.stored) * (shared + work.hf * others)


def bytes_written(work: Work) -> int:
    """Bytes of masks and changed kernels, and of every copy of the pruned model that is written."""
    kernels = work.config.n_layers * sum(kernel_sizes(work.config).values())
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
      beyond activations; "exchange": between several processes, beyond all of these.
    """
    config, itemsize = work.config, size_of(work.dtype)
    by_site = site_sizes(config).values()
    kernels = sum(by_site)
    block = itemsize * (part_size(config, "blocks") - kernels + kernels // machines.model)
    length = max((length for _, length in work.groups), default=0)
    held = samples_per_device * length  # tokens of one micro-batch
    states = 2 * 4 * held * config.d_model
    if work.propagate == "site":
        states += 2 * 4 * held * max(site_widths(config).values())
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
    exchanging = _exchanged(work, machines, 2 * block)
    return parts | {"exchange": max(0, exchanging - sum(parts.values()))}


def _exchanged(work: Work, machines: Machines, blocks: int) -> int:
    """Bytes of one device: `blocks`, and a kernel with its shares, or at the end its shard of the checkpoint."""
    if machines.processes == 1:
        return 0
    stored = size_of(work.stored)
    kernel = stored * max(kernel_sizes(work.config).values())
    every = machines.devices * machines.processes
    checkpoint = work.params * stored * size(work.config) // every
    return blocks + max(kernel + kernel // machines.processes, checkpoint)


def host_memory(work: Work, machines: Machines, samples_per_device: int) -> dict[str, int]:
    """Peak of one process by part; on CPUs including the devices.

    Returns:
      "process": Python, packages, compiled passes; "states": hidden states of all samples; "blocks": as stored: the
      current one, one prefetched, one being written; "masks": of all layers as bits, of two as bools; "sums": Gram
      matrices, of which some are being added; "params": with `work.params`; "devices": on CPUs; "kept": by allocators.
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
        "process": PROCESS + bool(work.samples) * (TOKENIZER + TOKEN * config.vocab_size),
        "states": 4 * tokens * width,
        "blocks": 3 * block * stored + converted,
        "masks": config.n_layers * kernels // 8 + 2 * kernels,
    }
    if work.gram:
        parts["sums"] = 2 * _gram_bytes(work)
    if work.params:
        parts["params"] = stored * size(config)
    if machines.cpu:
        parts["devices"] = machines.devices * sum(
            device_memory(work, machines, samples_per_device).values()
        )
    parts["kept"] = int(KEPT * (sum(parts.values()) - parts["process"]))
    return parts


def groups_of(batches: Sequence[Batch]) -> tuple[tuple[int, int], ...]:
    """(samples, length) of each batch, see `Work`."""
    return tuple((len(batch.tokens), batch.tokens.shape[1]) for batch in batches)
