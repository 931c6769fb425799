"""Tokens a second of greedy generation in llama.cpp, of a packed model and of the dense one in 16 bits."""

import dataclasses
import importlib.util
import os
import statistics
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.gguf.write import write_gguf
from jaxprune.hf.model import Model
from jaxprune.hf.source import ParameterSource

_LIBRARY = "llama_cpp"  # of llama-cpp-python
_NEW, _PROMPT, _ROUNDS = 64, 200, 3  # tokens, characters, repetitions


def is_measured() -> bool:
    """Whether llama.cpp's library is installed."""
    return importlib.util.find_spec(_LIBRARY) is not None


def speeds(model: Model, packed: Path, text: str, folder: Path) -> dict[str, float]:
    """Tokens a second, `before` and `after`; empty if llama.cpp's library is not installed.

    Args:
      model: the dense model, of which a file in 16 bits is written and removed.
      packed: model.gguf.
      text: its beginning is the prompt.
      folder: for the dense model's file.
    """
    if not is_measured():
        return {}
    dense = folder / "dense.gguf"
    in_half = dataclasses.replace(model, source=_InHalf(model.source))
    try:
        write_gguf(in_half, Types("f16", "f16"), dense)
        files = {"before": dense, "after": packed}
        rounds = [{name: _rate(file, text) for name, file in files.items()} for _ in range(_ROUNDS)]
    finally:
        dense.unlink(missing_ok=True)
    return {name: statistics.median(rates[name] for rates in rounds) for name in files}


def _rate(file: Path, text: str) -> float:
    import llama_cpp  # late: an optional library

    model = llama_cpp.Llama(
        str(file),
        n_ctx=512,
        verbose=False,
        swa_full=False,  # as llama.cpp's own programs
        n_threads=os.cpu_count(),
        n_threads_batch=os.cpu_count(),
    )
    stream = model.generate(model.tokenize(text[:_PROMPT].encode()), temp=0.0)
    next(stream)
    start = time.perf_counter()
    for _ in range(_NEW):
        next(stream)
    return _NEW / (time.perf_counter() - start)


@dataclasses.dataclass(frozen=True)
class _InHalf:
    """The parameters of another source, each rounded to float16."""

    source: ParameterSource

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def joined(self, path: str, share: Any, layer: int = 0) -> dict[str, Any]:
        tree = self.source.joined(path, share, layer)
        return jax.tree.map(lambda leaf: leaf.astype(np.float16), tree)
