"""Functions → compiled functions that are independent of the user's JAX settings.

Some settings of JAX change bits: those of random numbers, of result types, of the precision of products. Masks must not
depend on the settings of a notebook or the environment, so every compiled function is traced under the same settings.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax

# Settings that XLA reads at its start, and those of optimisation, are not pinned: a resumed run must have the same.
_XLA_SETTINGS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")
_JAX_SETTINGS = ("jax_disable_most_optimizations", "jax_optimization_level", "jax_disable_jit")
# Flags for the number of devices and for dumps.
_HARMLESS = ("--xla_force_host_platform_device_count", "--xla_dump", "--xla_gpu_dump")


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """JAX with its default settings in place of the user's; also a decorator."""
    with (
        jax.threefry_partitionable(True),
        jax.default_prng_impl("threefry2x32"),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.default_matmul_precision(None),
        jax.enable_x64(False),
    ):
        yield


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """`jax.jit(function, **options)`, always called, traced and lowered with JAX `pinned`."""
    jitted = jax.jit(function, **options)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with pinned():
            return jitted(*args, **kwargs)

    for name in ("lower", "trace"):
        setattr(call, name, pinned()(getattr(jitted, name)))
    return call


def compiler_settings() -> dict[str, str]:
    """The user's settings that can change the bits of compiled functions, by name."""
    xla_settings = {name: " ".join(_flags(os.environ.get(name, ""))) for name in _XLA_SETTINGS}
    jax_settings = {name: jax.config.values.get(name) for name in _JAX_SETTINGS}
    return {name: str(value) for name, value in {**xla_settings, **jax_settings}.items()}


def _flags(line: str) -> list[str]:
    return sorted(flag for flag in line.split() if not flag.startswith(_HARMLESS))
