"""A model with some of its tokens and layers, as a source that reads them from the whole model."""

import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np

from jaxprune.hf.fingerprint import Fingerprint
from jaxprune.hf.model import Model
from jaxprune.hf.shards import ShardWriter
from jaxprune.hf.source import ParameterSource
from jaxprune.hf.weights import to_stored
from jaxprune.models.config import ModelConfig


def subset(
    model: Model, tokens: np.ndarray | None = None, layers: tuple[int, ...] | None = None
) -> Model:
    """The model with some of its tokens and layers, by default all; it has the folder of the whole model.

    Args:
      tokens: [V] id of each token in the whole model.
      layers: the layer of the whole model for each layer.
    """
    config = model.config
    tokens = np.arange(config.vocab_size) if tokens is None else np.asarray(tokens)
    layers = tuple(range(config.n_layers)) if layers is None else layers
    pattern = tuple(config.pattern[layer % len(config.pattern)] for layer in layers)
    smaller = dataclasses.replace(
        config,
        vocab_size=len(tokens),
        n_layers=len(layers),
        pattern=pattern if len(config.kinds) > 1 else config.pattern,
    )
    source = Subset(model.source, smaller, tokens, layers)
    return dataclasses.replace(model, config=smaller, source=source)


@dataclasses.dataclass(frozen=True, eq=False)
class Subset:
    """A `ParameterSource` that keeps some tokens and layers of another one.

    Attributes:
      source: source of the whole model.
      config: config of the smaller one.
      tokens: [V] the token of the whole model for each token.
      layers: the layer of the whole model for each layer.
    """

    source: ParameterSource
    config: ModelConfig
    tokens: np.ndarray
    layers: tuple[int, ...]

    @functools.cached_property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the whole model, with a digest of the kept tokens and layers."""
        whole = self.source.fingerprint
        kept = hashlib.sha256(self.tokens.astype("<i8").tobytes() + repr(self.layers).encode())
        return Fingerprint({**whole.digests, "kept": kept.hexdigest()}, whole.states)

    def dtype_of(self, path: str, layer: int = 0) -> np.dtype:
        """The stored dtype."""
        return self.source.dtype_of(path, self._layer(path, layer))

    def _layer(self, path: str, layer: int) -> int:
        return self.layers[layer] if path.split("/", 1)[0] == "blocks" else layer

    def share(self, path: str, layer: int = 0) -> Any:
        """The share of the whole model's layer or part."""
        return self.source.share(path, self._layer(path, layer))

    def joined(self, path: str, share: Any, layer: int = 0) -> dict[str, Any]:
        """All parameters below a path, of the kept tokens."""
        tree = self.source.joined(path, share, self._layer(path, layer))
        if path == "embed":
            return {**tree, "tokens": tree["tokens"][self.tokens]}
        if path == "head" and "kernel" in tree:
            return {**tree, "kernel": tree["kernel"][:, self.tokens]}
        return tree

    def embed_rows(self, tokens: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        """Rows of the whole model's embedding."""
        return self.source.embed_rows(self.tokens[tokens])

    def head_rows(self, tokens: np.ndarray) -> np.ndarray:
        """Rows of the whole model's head."""
        return self.source.head_rows(self.tokens[tokens])

    def copy_unpruned(self, shards: ShardWriter) -> None:
        """Embedding and head of the kept tokens."""
        for name in ("embed", "head"):
            part = self.joined(name, self.share(name))
            shards.write(to_stored(self.config, part, name))
