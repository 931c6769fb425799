"""Training documents → rows of tokens with a loss weight for each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from jaxtyping import Float, Int
from transformers import PreTrainedTokenizerBase

from nano.corpus import Document

TOGETHER = 256  # documents that are tokenised in one call


def rows(
    documents: Iterator[Document], tokenizer: PreTrainedTokenizerBase, length: int
) -> Iterator[tuple[Int[np.ndarray, " T"], Float[np.ndarray, " T"]]]:
    """Rows of `length` tokens (int32) and the weight (float32) that each has as a target.

    A row starts with a document and is filled up with further ones; the last one is cut. Nothing keeps
    a document from attending to those before it: they are noise, and positions are all trained.
    """
    tokens: list[int] = []
    weights: list[float] = []
    for ids, weight in _encoded(documents, tokenizer):
        tokens += ids
        weights += weight
        if len(tokens) >= length:
            yield np.array(tokens[:length], np.int32), np.array(weights[:length], np.float32)
            tokens, weights = [], []


def _encoded(
    documents: Iterator[Document], tokenizer: PreTrainedTokenizerBase
) -> Iterator[tuple[list[int], list[float]]]:
    while chunk := list(islice(documents, TOGETHER)):
        encoded = tokenizer([d.text for d in chunk], return_offsets_mapping=True)
        for document, ids, offsets in zip(
            chunk, encoded["input_ids"], encoded["offset_mapping"], strict=True
        ):
            yield ids, token_weights(document, offsets)


def token_weights(document: Document, offsets: list[tuple[int, int]]) -> list[float]:
    """The weight of the part that holds each token's last character; 0 for tokens without text."""
    ends = np.cumsum([len(text) for text, _ in document.parts])
    weights = np.array([weight for _, weight in document.parts])
    last = np.array([end for _, end in offsets])
    empty = np.array([start == end for start, end in offsets])
    part = np.minimum(np.searchsorted(ends, last, side="left"), len(ends) - 1)
    return np.where(empty, 0.0, weights[part]).tolist()
