"""The device properties that the path of attention depends on."""

import re

import jax

# Compute capabilities of NVIDIA's GPUs that add kernels for attention in cuDNN: those of the H100 and the A100.
_GENERATIONS = (90, 80)


def platform() -> str:
    """JAX's name, "cpu", "tpu" or "gpu"; for NVIDIA's GPUs from compute capability 9.0 or 8.0 "sm90" or "sm80"."""
    name = jax.default_backend()
    if name != "gpu":
        return name
    # AMD's contain letters.
    capability = str(getattr(jax.local_devices()[0], "compute_capability", ""))
    version = re.fullmatch(r"(\d+)\.(\d)", capability)
    number = 0 if version is None else 10 * int(version[1]) + int(version[2])
    return next((f"sm{least}" for least in _GENERATIONS if number >= least), name)
