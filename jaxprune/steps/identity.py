"""Everything that determines the bits of a run → one record: runs with equal records make equal masks.

The record has the content of the model's files and of the files that are copied into the Hugging Face folder, such as
the tokenizer; the tokens of the calibration set, not the paths of its texts; the relevant fields of the config; the
package's numerical code; the versions and settings of the libraries that compute. Devices and hosts are in
it only if the order of sums depends on them; free memory and reports are not in it.
"""

import ast
import functools
import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
from flax.traverse_util import flatten_dict

from jaxprune.base.errors import InputError
from jaxprune.base.workdir.differences import difference
from jaxprune.data.batches import Batch, digest
from jaxprune.devices import hosts
from jaxprune.devices.compiled import compiler_settings
from jaxprune.devices.products import product_dtype
from jaxprune.hf.export import exported_beside
from jaxprune.hf.model import Model
from jaxprune.models.attention.platform import platform
from jaxprune.models.model import attention_path

# Fields of the config that determine bits, except those that determine the tokens of the calibration set.
_FIELDS = ("dtype", "compat", "seed", "pruning", "quantize", "output")
_SHRINK = (
    "expected",
    "coverage",
    "tokens",
    "multiple",
    "layers",
    "drop_layers",
    "one_by_one",
    "mlp",
)
_VERSIONS = ("jax", "jaxlib", "numpy", "ml_dtypes")
# Subpackages whose code determines the masks.
_NUMERIC = ("devices", "hf", "models", "stats", "pruning", "recovery")


def run_identity(
    model: Model,
    config: Mapping[str, Any],
    batches: Sequence[Batch],
    more: Mapping[str, str | int | float | None] = MappingProxyType({}),
    stats: str | None = None,
) -> dict[str, str | int | float | bool | None]:
    """The values, by name, that are equal for two runs of the same job.

    Args:
      model: the model, whose files are read unless the user's cache has their digests.
      config: the content of config.json.
      batches: the calibration set.
      more: values of some jobs only, such as `stats.order_of_sums`.
      stats: `ActivationStats.digest` of saved statistics, in place of batches.
    """
    fields = {name: config[name] for name in _FIELDS if name in config}
    mixture = config["calibration"]
    fields["calibration"] = {
        name: mixture[name] for name in ("combine", "weights") if name in mixture
    }
    # the model's files, and those that are copied into the Hugging Face folder
    beside = exported_beside(model) if config["output"]["hf"] else {}
    files = {**beside, **model.source.fingerprint.digests}
    products = product_dtype(config["dtype"])
    return {
        **{f"config.{path}": value for path, value in flatten_dict(fields, sep=".").items()},
        **{f"file {name}": sha256 for name, sha256 in files.items()},
        "calibration": digest(batches) if stats is None else stats,
        "code": _code(*_NUMERIC),
        **{name: importlib.metadata.version(name) for name in _VERSIONS},
        "platform": jax.default_backend(),
        "products": products,
        "attention": attention_path(model.config, products, platform()).name,
        **compiler_settings(),
        **more,
    }


def shrink_identity(
    model: Model, config: Mapping[str, Any], texts: str, batches: Sequence[Batch], order: str | None
) -> dict[str, str | int | float | bool | None]:
    """The values, by name, that are equal for two runs that make the same smaller model.

    Args:
      config: the content of config.json.
      texts: a digest of the texts by language.
      batches: the calibration set that measures layers or neurons; empty if none are measured.
      order: see `stats.order_of_sums`; None without running sums.
    """
    more = {f"config.shrink.{name}": config["shrink"][name] for name in _SHRINK}
    more |= {name: importlib.metadata.version(name) for name in ("tokenizers", "transformers")}
    more |= {
        "calibration texts": texts,
        "running sums": order,
        "shrinking code": _code("shrinking"),
    }
    return run_identity(model, {**config, "pruning": {}, "output": {"hf": True}}, batches, more)


def agree(now: Mapping[str, Any]) -> None:
    """Rejects processes with different jobs; all processes must call it.

    Raises:
      InputError: names the process and the difference.
    """
    first, *others = hosts.gather_json(now)
    for process, identity in enumerate(others, start=1):
        if differs := difference(first, identity):
            raise InputError(
                f"process {process} has another job than process 0: {differs}; expected the same "
                "command, model, texts and versions on all hosts"
            )


@functools.cache
def _code(*parts: str) -> str:
    """A digest of the code of some subpackages, which comments, docstrings and line breaks do not change."""
    sha = hashlib.sha256()
    root = Path(__file__).parents[1]
    for part in parts:
        for file in sorted((root / part).rglob("*.py")):
            tree = _WithoutDocstrings().visit(ast.parse(file.read_bytes()))
            sha.update(f"{file.relative_to(root)}\n{ast.dump(tree)}".encode())
    return sha.hexdigest()


class _WithoutDocstrings(ast.NodeTransformer):
    """Removes texts that are statements."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node
