"""A model: its config, its weights (on disk until asked for) and its tokenizer."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxprune.errors import InputError
from jaxprune.hf.hub import resolve
from jaxprune.hf.weights import Weights, size
from jaxprune.models import ModelConfig, family_of, load_config

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Where vocabularies are: in one of these at least.
TOKENIZER_FILES = ("tokenizer.json", "vocab.*", "*.model")


@dataclasses.dataclass(frozen=True)
class Model:
    """What `load` returns. Opening reads no tensor; `params` reads all, `block` reads one.

    Attributes:
      config: sizes and switches.
      folder: where the Hugging Face files lie.
      weights: the lazily read checkpoint.
      loaded: parameters that replace those on disk, or None.
    """

    config: ModelConfig
    folder: Path
    weights: Weights
    loaded: Mapping[str, Any] | None = None

    @functools.cached_property
    def params(self) -> Mapping[str, Any]:
        """All parameters {"embed", "blocks" [L, …], "head"} in their stored dtype, on the host."""
        return self.weights.all() if self.loaded is None else self.loaded

    @functools.cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The folder's tokenizer; InputError where there is none or it has ids beyond the vocabulary."""
        from transformers import AutoTokenizer  # late: takes seconds, with torch installed

        # transformers makes an empty XGLM, GPT-2 or Qwen tokenizer up where there is none
        if not any(file for pattern in TOKENIZER_FILES for file in self.folder.glob(pattern)):
            raise InputError(
                f"{self.folder}: no tokenizer; expected {' or '.join(TOKENIZER_FILES)}"
            )
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False)
        except (
            Exception
        ) as error:  # transformers raises a dozen kinds for a folder without tokenizer
            raise InputError(
                f"{self.folder}: no usable tokenizer ({_first_line(error)})"
            ) from error
        largest = max(tokenizer.get_vocab().values())
        if largest >= self.config.vocab_size:
            raise InputError(
                f"{self.folder}: the tokenizer has id {largest}, config.json has vocab_size "
                f"{self.config.vocab_size}"
            )
        return tokenizer

    @property
    def dtype(self) -> str:
        """In which the pruned kernels are stored."""
        path = next(iter(family_of(self.config).sites))
        if self.loaded is None:
            return str(self.weights.files.info(self.weights.name(f"blocks/{path}")).dtype.name)
        kernel = functools.reduce(operator.getitem, path.split("/"), self.loaded["blocks"])
        return str(kernel.dtype.name)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return size(self.config)

    def block(self, layer: int) -> dict[str, Any]:
        """Parameters of one block on the host, without reading the others.

        Of several processes each reads its share, so all must ask.
        """
        return self.block_of(layer, self.block_share(layer))

    def block_share(self, layer: int) -> Any:
        """The part of `block` that no other process takes part in: what is read."""
        if self.loaded is None:
            return self.weights.share("blocks", layer)
        return jax.tree.map(lambda leaf: np.asarray(leaf[layer]), self.loaded["blocks"])

    def block_of(self, layer: int, share: Any) -> dict[str, Any]:
        """`block` out of what `block_share` read in each process."""
        del layer
        return self.weights.joined("blocks", share) if self.loaded is None else share

    def embed_rows(self, tokens: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        """Embedding parameters with the rows of these tokens only, and the tokens as indices of those rows."""
        if self.loaded is None:
            return self.weights.embed_rows(tokens)
        return jax.tree.map(np.asarray, dict(self.loaded["embed"])), tokens

    def part(self, path: str) -> dict[str, Any]:
        """Parameters below a path outside the blocks, such as "embed" or "head/norm", on the host.

        Of several processes each reads its share, so all must ask.
        """
        if self.loaded is None:
            return self.weights.part(path)
        below = functools.reduce(operator.getitem, path.split("/"), self.loaded)
        return jax.tree.map(np.asarray, dict(below))

    def head_rows(self, tokens: np.ndarray) -> np.ndarray:
        """What the logits of these tokens multiply the normed state with, [N, D]; reads no other rows."""
        if self.loaded is None:
            return self.weights.head_rows(tokens)
        if self.config.tied_head:
            return np.asarray(self.loaded["embed"]["tokens"])[tokens]
        return np.asarray(self.loaded["head"]["kernel"])[:, tokens].T

    def replace(self, params: Mapping[str, Any]) -> Model:
        """The same model with other parameters."""
        return dataclasses.replace(self, loaded=params)


def load(model: str | Path, revision: str | None = None) -> Model:
    """Opens a model from a local Hugging Face folder or a hub id.

    Raises:
      InputError: no such folder or id; a config, tensor name or shape that does not fit.
      OSError: the hub cannot be reached.
    """
    folder = resolve(str(model), revision)
    config = load_config(folder)
    return Model(config, folder, Weights.open(config, folder))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
