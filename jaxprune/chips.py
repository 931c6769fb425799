"""Accelerators by name: published peak rates, for plans and predictions."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
    """One device.

    Attributes:
      flops: by dtype of the factors, operations a second; sums are float32.
      memory: bytes.
      bandwidth: of the memory, bytes a second.
      link: from the host's memory, bytes a second.
    """

    flops: dict[str, float]
    memory: float
    bandwidth: float
    link: float


# H100 SXM: NVIDIA's data sheet, dense; its link is PCIe 5.0 x16. v5e, v5p: cloud.google.com/tpu/docs; their links are
# what jax-ml.github.io/scaling-book takes for PCIe. A TPU makes a float32 product of six bfloat16 ones.
CHIPS = {
    "h100": Chip({"bfloat16": 989e12, "float32": 67e12}, 80e9, 3.35e12, 64e9),
    "v5e": Chip({"bfloat16": 197e12, "float32": 197e12 / 6}, 16e9, 819e9, 15e9),
    "v5p": Chip({"bfloat16": 459e12, "float32": 459e12 / 6}, 95 * 2**30, 2765e9, 15e9),
}
