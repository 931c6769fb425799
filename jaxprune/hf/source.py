"""Sources of a model's parameters: the protocol of all reads, and arrays in memory as a source."""

import functools
import operator
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.base.errors import InputError
from jaxprune.hf.fingerprint import Fingerprint, digest_of_arrays
from jaxprune.hf.finite import check_finite
from jaxprune.hf.shards import ShardWriter
from jaxprune.hf.weights import shapes, to_stored
from jaxprune.models.config import ModelConfig
from jaxprune.models.trees import Params, named_leaves


@runtime_checkable
class ParameterSource(Protocol):
    """A model's parameters on the host, part by part, in their stored dtype, kernels as [in, out].

    Each of several processes reads its share of a part, so all must read the same parts in the same order. For NaN and
    infinity reads raise InputError with layer and parameter.
    """

    @property
    def fingerprint(self) -> Fingerprint:
        """The digest of all parameters, by their content."""

    def dtype_of(self, path: str, layer: int = 0) -> np.dtype:
        """The stored dtype of a parameter such as "blocks/mlp/up/kernel" of a layer; reads no tensor."""

    def share(self, path: str, layer: int = 0) -> Any:
        """The share of this process in a layer (path "blocks"), or in parameters below a path such as "head/norm"."""

    def joined(self, path: str, share: Any, layer: int = 0) -> dict[str, Any]:
        """All parameters below a path, joined from the shares of all processes, which must all call."""

    def embed_rows(self, tokens: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        """Embedding parameters with at least the rows of these tokens, and the tokens as indices of those rows."""

    def head_rows(self, tokens: np.ndarray) -> np.ndarray:
        """LM-head rows of these tokens, [N, D]."""

    def copy_unpruned(self, shards: ShardWriter) -> None:
        """Writes embedding and head, which are never pruned, with their names in a checkpoint."""


def check_params(config: ModelConfig, params: Params) -> None:
    """Rejects parameters of another model: other depth or width, missing or additional paths.

    Raises:
      InputError: names the first path that differs.
    """
    leaves = named_leaves("params", params)
    stacked = {
        path: (config.n_layers, *shape) if path.startswith("blocks/") else shape
        for path, shape in shapes(config).items()
    }
    for path, shape in stacked.items():
        leaf, allowed = leaves.get(path), f"floats of shape {shape}, as in Model.params"
        if leaf is None:
            raise InputError(f"params: {path}: missing; expected {allowed}")
        if leaf.shape != shape or not jnp.issubdtype(leaf.dtype, jnp.floating):
            got = f"{leaf.dtype} of shape {leaf.shape}"
            raise InputError(f"params: {path}: got {got}; expected {allowed}")
    if others := [path for path in leaves if path not in stacked]:
        allowed = "the paths of Model.params"
        raise InputError(f"params: {others[0]}: not in this model; expected {allowed}")


class InMemory:
    """Parameters in memory.

    Args:
      config: the model's config.
      params: {"embed", "blocks" [L, …], "head"}, arrays of JAX or numpy.
    """

    def __init__(self, config: ModelConfig, params: Params) -> None:
        self._config = config
        self.params = params

    @functools.cached_property
    def fingerprint(self) -> Fingerprint:
        """The digest of the arrays and their paths."""
        return Fingerprint({"parameters": digest_of_arrays(self.params)}, {})

    def dtype_of(self, path: str, layer: int = 0) -> np.dtype:
        """The dtype of a parameter, the same in all layers."""
        del layer
        return np.dtype(self._below(path).dtype)

    def _below(self, path: str) -> Any:
        return functools.reduce(operator.getitem, path.split("/"), self.params)

    def share(self, path: str, layer: int = 0) -> Any:
        """The complete part, as numpy arrays: every process has all parameters."""
        leaves = {}
        for name, leaf in flatten_dict(dict(self._below(path))).items():
            array = np.asarray(leaf[layer] if path == "blocks" else leaf)
            leaves[name] = check_finite(array, "/".join([path, *name]), layer)
        return unflatten_dict(leaves)

    def joined(self, path: str, share: Any, layer: int = 0) -> dict[str, Any]:
        """The share, which is complete."""
        del path, layer
        return share

    def embed_rows(self, tokens: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        """The complete table."""
        return self.share("embed"), tokens

    def head_rows(self, tokens: np.ndarray) -> np.ndarray:
        """Rows of the table, or columns of the head's own kernel."""
        path = "embed/tokens" if self._config.tied_head else "head/kernel"
        table = np.asarray(self._below(path))
        rows = table[tokens] if self._config.tied_head else table[:, tokens].T
        return check_finite(rows, path)

    def copy_unpruned(self, shards: ShardWriter) -> None:
        """Writes embedding and head from the arrays."""
        for name in ("embed", "head"):
            shards.write(to_stored(self._config, self.share(name), name))
