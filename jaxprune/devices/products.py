"""The dtype in which weights lie on the devices and are multiplied.

CPUs without instructions for bfloat16 take longer for a product of bfloat16 than for one of float32. There numbers are
rounded to bfloat16 and multiplied as float32: the factors are the same, and so is each product of two numbers, which
float32 holds exactly. Sums, which are float32 everywhere, may round in another order.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import jax

from jaxprune.devices import hosts

# Names in Linux: the first two on x86, the last on ARM.
_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}


def product_dtype(dtype: str) -> str:
    """The dtype in which numbers that are rounded to `dtype` are held on the devices and multiplied.

    The same in all processes, of which all must ask: float32 for bfloat16 where one of them has a CPU without
    instructions for bfloat16.

    Args:
      dtype: "float32" or "bfloat16".
    """
    multiplies = _every_process_multiplies_bfloat16()
    return dtype if multiplies else "float32"


@functools.cache
def _every_process_multiplies_bfloat16() -> bool:
    here = jax.default_backend() != "cpu" or cpu_multiplies_bfloat16()
    return not hosts.any_of(not here)


def cpu_multiplies_bfloat16(root: Path = Path("/")) -> bool:
    """True if Linux lists instructions that multiply bfloat16; False without Linux, as on macOS.

    Where nothing is known, float32 is the safe side: it is never slower than `dtype=float32`. XLA's flag
    `xla_cpu_max_isa` does not count, as the library that computes XLA's products checks the CPU itself.

    Args:
      root: where `proc` lies.
    """
    try:
        text = (root / "proc/cpuinfo").read_text()
    except OSError:
        return False
    flags = re.search(r"(?m)^(?:flags|Features)\s*:(.*)", text)
    return flags is not None and not _INSTRUCTIONS.isdisjoint(flags[1].split())
