"""Imported before JAX: its compiler then works quickly rather than well, in this process and all that it starts."""

import importlib.metadata
import os

os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# The XLA of JAX 0.11 has no such flag any more, and ends a process that names it.
if tuple(map(int, importlib.metadata.version("jax").split(".")[:2])) < (0, 11):
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
