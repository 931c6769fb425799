"""The dtype in which weights are stored on the devices and multiplied.

CPUs without instructions for bfloat16 multiply bfloat16 more slowly than float32, and so do Intel's without AMX. On
these, numbers are rounded to bfloat16 and multiplied as float32: the factors are the same, and so is each product of
two numbers, which float32 represents exactly. Sums, which are float32 everywhere, may round in another order.
"""

import functools
import re
from pathlib import Path

import jax

from jaxprune.devices import hosts

# Names in Linux: the first two on x86, the last on ARM.
_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}
# Intel's AVX512-BF16 has no higher rate than its float32, and the factors must be arranged for it first.
_SLOW_ON_INTEL = {"avx512_bf16"}


def product_dtype(dtype: str) -> str:
    """The dtype in which numbers rounded to `dtype` are stored on the devices and multiplied.

    The same in all processes, which all must call: float32 for bfloat16 if any of them has a CPU that multiplies
    float32 faster.

    Args:
      dtype: "float32" or "bfloat16".
    """
    faster = _every_process_prefers_bfloat16()
    return dtype if faster else "float32"


@functools.cache
def _every_process_prefers_bfloat16() -> bool:
    faster = jax.default_backend() != "cpu" or cpu_prefers_bfloat16()
    return not hosts.any_of(not faster)


def cpu_prefers_bfloat16(root: Path = Path("/")) -> bool:
    """True if, by the flags that Linux lists, the CPU multiplies bfloat16 faster than float32; False on other systems.

    float32 is the safe default: it is never slower than `dtype=float32`. XLA's flag `xla_cpu_max_isa` has no effect, as
    the library that computes XLA's products checks the CPU itself.

    Args:
      root: the folder that contains `proc`.
    """
    try:
        text = (root / "proc/cpuinfo").read_text()
    except OSError:
        return False
    flags = re.search(r"(?m)^(?:flags|Features)\s*:(.*)", text)
    is_intel = re.search(r"(?m)^vendor_id\s*: GenuineIntel$", text) is not None
    fast = _INSTRUCTIONS - _SLOW_ON_INTEL if is_intel else _INSTRUCTIONS
    return flags is not None and not fast.isdisjoint(flags[1].split())
