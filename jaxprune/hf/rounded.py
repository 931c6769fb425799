"""A model in float32 with embedding and head on a grid, as a source that reads them from the stored model.

Numbers on a grid are products of a level and a scale, which need more digits than bfloat16 has.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jaxprune.hf.aligned import aligned_cast
from jaxprune.hf.fingerprint import Fingerprint
from jaxprune.hf.model import Model
from jaxprune.hf.shards import ShardWriter
from jaxprune.hf.source import ParameterSource
from jaxprune.hf.weights import exported_name, shapes, to_stored
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids.grid import Quantized, Weight, values_of

# Float32 rows of a table, [N, D] → the rounded rows as columns, [D, N].
RoundRows = Callable[[Float[np.ndarray, "N D"]], Weight]
_ROWS = 4096  # tokens at a time


@dataclasses.dataclass(frozen=True)
class Rounded:
    """A `ParameterSource` of another one's parameters in float32, with the rows of embedding and head rounded.

    Attributes:
      source: source of the stored model.
      config: its config.
      round_rows: rounds rows of the embedding and of a head of its own.
    """

    source: ParameterSource
    config: ModelConfig
    round_rows: RoundRows

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the stored model."""
        return self.source.fingerprint

    def dtype_of(self, path: str, layer: int = 0) -> np.dtype:
        """float32."""
        del path, layer
        return np.dtype(np.float32)

    def share(self, path: str, layer: int = 0) -> Any:
        return self.source.share(path, layer)

    def joined(self, path: str, share: Any, layer: int = 0) -> dict[str, Any]:
        """All parameters below a path in float32, embedding and head rounded."""
        tree = _in_float32(self.source.joined(path, share, layer))
        if path not in ("embed", "head"):
            return tree
        tree = self._with_record(tree)
        for name, weight in tree.items():
            if isinstance(weight, Quantized):
                values = weight.values()
                tree[name] = np.ascontiguousarray(values.T) if name == "tokens" else values
        return tree

    def embed_rows(self, tokens: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        """Rounded rows of the embedding."""
        tree, indices = self.source.embed_rows(tokens)
        tree = _in_float32(tree)
        return {**tree, "tokens": self._rounded(tree["tokens"])}, indices

    def head_rows(self, tokens: np.ndarray) -> np.ndarray:
        """Rounded rows of the head."""
        return self._rounded(self.source.head_rows(tokens).astype(np.float32))

    def copy_unpruned(self, shards: ShardWriter) -> None:
        """Writes embedding and head, their large tables in pieces."""
        width = self.config.d_model
        for part, table in (("embed", "tokens"), ("head", "kernel")):
            path = f"{part}/{table}"
            if path in shapes(self.config):
                shape = (self.config.vocab_size, width)
                name = exported_name(self.config, path)
                shards.write_chunks(name, shape, np.dtype(np.float32), self._rows(path))
            first, _ = self.embed_rows(np.arange(1))
            tree = first if part == "embed" else _in_float32(self._head_norm())
            others = {name: leaf for name, leaf in tree.items() if name != table}
            shards.write(to_stored(self.config, others, part))

    def records(self, part: str) -> dict[str, Any]:
        """The parameters of "embed" or "head"; a table on a grid with levels is its record, [D, V]."""
        return self._with_record(_in_float32(self.source.joined(part, self.source.share(part))))

    def _with_record(self, tree: dict[str, Any]) -> dict[str, Any]:
        """The parameters of embedding or head with the rounded table, a record or an array as in a model."""
        if "tokens" in tree:
            weight = self.round_rows(tree["tokens"])
            tree["tokens"] = weight if isinstance(weight, Quantized) else weight.T
        if "kernel" in tree:
            tree["kernel"] = self.round_rows(np.ascontiguousarray(tree["kernel"].T))
        return tree

    def _rounded(self, rows: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
        return np.ascontiguousarray(values_of(self.round_rows(rows)).T)

    def _head_norm(self) -> dict[str, Any]:
        return {"norm": self.source.joined("head/norm", self.source.share("head/norm"))}

    def _rows(self, path: str) -> Iterator[np.ndarray]:
        """The rows of a table, some at a time."""
        for start in range(0, self.config.vocab_size, _ROWS):
            tokens = np.arange(start, min(start + _ROWS, self.config.vocab_size))
            is_embedding = path == "embed/tokens"
            rows = self.embed_rows(tokens)[0]["tokens"] if is_embedding else self.head_rows(tokens)
            yield np.ascontiguousarray(rows).reshape(-1)


def with_tables(model: Model, round_rows: RoundRows) -> Model:
    """The model in float32 with the rows of embedding and head rounded."""
    source = Rounded(model.source, model.config, round_rows)
    return dataclasses.replace(model, source=source)


def _in_float32(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: aligned_cast(leaf, np.float32), tree)
