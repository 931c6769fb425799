"""Compiled programs are stored in the user's cache.

This is JAX's persistent cache. Its key contains the program, the compiler with its version and options, and the
devices, for a CPU including its instructions, so each kind of CPU compiles its own programs. A cached program is the
machine code that the compiler made and computes the same bits.
"""

import os
import warnings

import jax
import jaxlib.version

from jaxprune.base.errors import invalid_value
from jaxprune.base.files.whole import user_cache

# JAX's own environment variables, the names in capitals, have precedence.
_SETTINGS = {
    # Adding an entry checks all files, 0.1 ms each. A program for a CPU has about 40 kB.
    "jax_compilation_cache_max_size": 128 << 20,
    "jax_persistent_cache_min_compile_time_secs": 0.05,
    "jax_persistent_cache_enable_xla_caches": "none",  # those of GPUs have no size limit
}
# Older versions warn for every program with AVX-512 that this CPU may not run it (openxla/xla issue 44565).
_LEAST_JAXLIB = (0, 10, 2)


def keep_compiled() -> None:
    """Makes JAX store the programs that it compiles from now on in `compiled` in the user's cache.

    Does nothing if JAXPRUNE_CACHE is off or if JAX's own settings name a cache or disable it. A folder that cannot be
    made, or that other users may write to (machine code is loaded from it), is not used.

    Raises:
      InputError: JAXPRUNE_CACHE has an unknown value.
    """
    # A program that cannot be read, as one that another process is writing, or stored is compiled again.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")
    warnings.filterwarnings("ignore", "Cache value for key .* exceeds the maximum cache size")
    settings = jax.config.values
    is_set = settings["jax_compilation_cache_dir"] or not settings["jax_enable_compilation_cache"]
    if (switch := os.environ.get("JAXPRUNE_CACHE", "on")) not in ("on", "off"):
        raise invalid_value("JAXPRUNE_CACHE", switch, ("on", "off"))
    if is_set or switch == "off" or jaxlib.version.__version_info__ < _LEAST_JAXLIB:
        return
    folder = user_cache("compiled")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        return
    for name, value in _SETTINGS.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
    jax.config.update("jax_compilation_cache_dir", str(folder))
