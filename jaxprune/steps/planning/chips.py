"""Accelerators by the names that people rent them by, with published rates: for plans of jobs that run elsewhere."""

import dataclasses
import re
from typing import NamedTuple

from jaxprune.base.errors import invalid_value

# Accelerators of a host: of GPUs, and of TPU slices of up to 8 chips or of more.
_GPUS, _TPUS, _TPUS_OF_SLICE = 8, 8, 4
# Share of a GPU's memory that JAX takes, unless XLA_PYTHON_CLIENT_MEM_FRACTION is set.
_TAKEN = 0.75
# Slices of these are named by their cores, of which a chip has two.
_BY_CORES = ("v5p",)


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

    @property
    def room(self) -> float:
        """Bytes that JAX takes."""
        return self.memory * (1.0 if self.platform == "tpu" else _TAKEN)


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
_TPU_NAMES = [name for name, chip in CHIPS.items() if chip.platform == "tpu"]
_EXPECTED = (
    f"{', '.join(f'{name}-8' for name in _TPU_NAMES)} or another slice; "
    f"{', '.join(name for name in CHIPS if name not in _TPU_NAMES)}, or several as 2xh100"
)


class Rented(NamedTuple):
    """Machines of one kind.

    Attributes:
      name: as given.
      chip: their devices.
      devices: of a host.
      hosts: number of hosts.
    """

    name: str
    chip: Chip
    devices: int
    hosts: int


def rented(name: str) -> Rented:
    """The machines of a name such as "v5e-8", a slice of 8 chips, or "2xh100", a host with two GPUs.

    The number of a v5p is that of its cores, as Google counts them. GPUs come in hosts of up to eight, TPUs in hosts of
    up to eight, or of four in slices of more.

    Raises:
      InputError: an unknown name, or a number that no hosts add up to.
    """
    spelled = name.lower().replace("v5litepod", "v5e")
    if match := re.fullmatch(r"(v\w+)-(\d+)", spelled):
        kind, count, per_host = match[1], int(match[2]), _TPUS
        count //= 2 if kind in _BY_CORES else 1
        if count > _TPUS or kind in _BY_CORES:
            per_host = _TPUS_OF_SLICE
    elif match := re.fullmatch(r"(?:(\d+)x)?(\w+)", spelled):
        kind, count, per_host = match[2], int(match[1] or 1), _GPUS
    else:
        kind, count, per_host = "", 0, 1
    is_slice = "-" in spelled
    if kind not in CHIPS or is_slice != (kind in _TPU_NAMES) or not count:
        raise invalid_value("--chip", name, _EXPECTED, choices=CHIPS)
    if is_slice and count < _TPUS and count.bit_count() > 1:
        raise invalid_value("--chip", name, f"1, 2, 4 or 8 {kind}, or more")
    if count > per_host and count % per_host:
        raise invalid_value(
            "--chip", name, f"a multiple of {per_host} {kind}, the number of a host"
        )
    devices = min(count, per_host)
    return Rented(name, CHIPS[kind], devices, count // devices)
