"""What decides the bits of a run → one record: two runs with equal records make equal masks.

The content of the model's files, not their names or times, and of those that go into the Hugging Face folder as they
are, as the tokenizer; the calibration set's tokens, not where the texts lie; the fields of the config that matter; the
package's own code that computes; the versions and settings of what it computes with. What cannot change a bit is not in
it: devices, hosts, free memory, reports.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from flax.traverse_util import flatten_dict

from jaxprune.calibration import Batch, digest
from jaxprune.devices import compiler_settings, hosts, platform, product_dtype
from jaxprune.errors import InputError
from jaxprune.hf import Model, exported_beside
from jaxprune.models import attention_path
from jaxprune.planning import PruneConfig

# Fields of the config that bits depend on, beside those that the calibration set's tokens stand for.
_FIELDS = ("dtype", "compat", "seed", "pruning", "output")
_VERSIONS = ("jax", "jaxlib", "numpy", "ml_dtypes")
# Rooms whose code decides which weights stay.
_NUMERIC = ("devices", "hf", "models", "passes", "pruning")


def identity(
    model: Model, config: PruneConfig, batches: Sequence[Batch]
) -> dict[str, str | int | float | bool | None]:
    """What must be the same for two runs to be one job, by name.

    Args:
      model: whose files are read here, as far as the user's cache does not know them.
      config: validated.
      batches: the calibration set.
    """
    plain = config.json()
    fields = {name: plain[name] for name in _FIELDS}
    products = product_dtype(config.dtype)
    return {
        **{f"config.{path}": value for path, value in flatten_dict(fields, sep=".").items()},
        **{f"file {name}": sha for name, sha in _files(model, config).items()},
        "calibration": digest(batches),
        "code": _code(),
        **{name: importlib.metadata.version(name) for name in _VERSIONS},
        "platform": jax.default_backend(),
        "products": products,
        "attention": attention_path(model.config, products, platform()).name,
        **compiler_settings(),
    }


def _files(model: Model, config: PruneConfig) -> Mapping[str, str]:
    """Digests of the model's files, and of those that the Hugging Face folder gets as they are."""
    beside = exported_beside(model) if config.output.hf else {}
    return {**beside, **model.source.fingerprint.digests}


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """What of two records differs first, in words; None if they are equal."""
    for name in [*now, *before]:
        if before.get(name) != now.get(name):
            return f"{name} {_short(before.get(name))}, now {_short(now.get(name))}"
    return None


def agree(now: Mapping[str, Any]) -> None:
    """Refuses processes that are not of one job; all must call.

    Raises:
      InputError: names the process and what differs.
    """
    first, *others = hosts.gather_json(now)
    for process, theirs in enumerate(others, start=1):
        if differs := difference(first, theirs):
            raise InputError(
                f"process {process} has another job than process 0: {differs}; expected the same "
                "command, model, texts and versions on all hosts"
            )


def _short(value: Any) -> str:
    """A value as messages have it, digests by their first digits."""
    text = repr(value)
    return f"{text[:13]}…'" if isinstance(value, str) and len(value) == 64 else text


def _code() -> str:
    """A digest of the package's source that computes."""
    sha = hashlib.sha256()
    root = Path(__file__).parents[1]
    for room in _NUMERIC:
        for file in sorted((root / room).rglob("*.py")):
            sha.update(f"{file.relative_to(root)}\n".encode() + file.read_bytes())
    return sha.hexdigest()
