"""A model and texts → a smaller model of their tokens, written as a Hugging Face folder, and a report on it."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxprune.errors import refusal
from jaxprune.files import sealed
from jaxprune.hf import HfWriter, Model, Subset, check_model, load
from jaxprune.progress import progress_bar
from jaxprune.schema import PATH, check, fields_of
from jaxprune.shrinking.config import ShrinkFields
from jaxprune.shrinking.proof import compare_numbers, compare_splits
from jaxprune.shrinking.selection import chosen_tokens
from jaxprune.shrinking.tokenizer_rules import fillers, parts_of
from jaxprune.shrinking.vocabulary import (
    Vocabulary,
    required_tokens,
    rules_of,
    smaller_vocabulary,
    token_counts,
    tokens_of_line_breaks,
)

Texts = Mapping[str, Sequence[str]]


class Shrunk(NamedTuple):
    """A smaller model and the report on it.

    Attributes:
      model: opened from the folder that was written.
      report: `tokens` and `parameters` before and after; by language in `selection` and `heldout` the number of texts,
        how many split as before, and their tokens before and after; in `differences` the largest difference of hidden
        states and of logits of kept tokens over some texts that split as before, in float32.
    """

    model: Model
    report: dict[str, Any]


def shrink(
    model: Model,
    texts: Texts,
    folder: str | Path,
    *,
    heldout: Texts | None = None,
    coverage: float = 1.0,
    tokens: int | None = None,
    multiple: int = 64,
    overwrite: bool = False,
    progress: bool = True,
) -> Shrunk:
    """Writes the model with the tokens of some texts as an ordinary, smaller Hugging Face folder.

    A text whose tokens are all kept is split as before. Its hidden states are equal, and so are the logits of kept
    tokens; only the sum over the vocabulary in the softmax is of fewer tokens. Byte tokens, special tokens and those of
    the chat template are always kept; special tokens that are called unused or reserved only if a text has them.

    Args:
      model: with a tokenizer of the kind BPE (byte-level, or with bytes for unknown characters) or Unigram.
      texts: by language code.
      folder: new or empty, or with `overwrite` one that this package wrote.
      heldout: other texts by language, for the report.
      coverage: least share of the tokens of each language's texts that are kept; the rarest ones are dropped.
      tokens: number of tokens to keep instead, by their largest share in a language.
      multiple: the number is filled up to a multiple of it, with the next tokens.
      progress: show a progress bar.

    Raises:
      InputError: a value that is not allowed, no tokenizer, or one of another kind; the folder contains other files.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> small, report = jp.shrink(model, {"fr": ["le chat dort"]}, "runs/example/fr", progress=False)
      >>> small.config.vocab_size < model.config.vocab_size
      True
      >>> report["selection"]["fr"]["same"], report["differences"]["logits"]
      (1, 0.0)
    """
    check_model(model)
    check("folder", folder, PATH)
    fields = ShrinkFields(coverage=coverage, tokens=tokens, multiple=multiple)
    for name in ("coverage", "tokens", "multiple"):
        check(name, getattr(fields, name), fields_of(ShrinkFields)[name])
    for code, of_code in {**texts, **(heldout or {})}.items():
        if isinstance(of_code, str) or not all(isinstance(text, str) for text in of_code):
            raise refusal(f"texts: {code}", of_code, "a list of texts")
    vocabulary = choose_vocabulary(model, texts, fields)
    folder = Path(folder).expanduser().absolute()
    try:
        smaller = write_smaller(model, vocabulary, folder, overwrite=overwrite, progress=progress)
    except BaseException:
        sealed.discard(folder)
        raise
    return Shrunk(smaller, report_on(model, smaller, vocabulary, texts, heldout or {}))


def choose_vocabulary(model: Model, texts: Texts, fields: ShrinkFields) -> Vocabulary:
    """The tokens of the texts by language, and the tokenizer that has them alone.

    Raises:
      InputError: no tokenizer, or one of another kind than BPE and Unigram.
    """
    rules, counts = rules_of(model), token_counts(model, texts)
    tokens = chosen_tokens(
        counts,
        required_tokens(model, rules) | tokens_of_line_breaks(model, texts, counts),
        parts_of(rules),
        coverage=fields.coverage,
        tokens=fields.tokens,
        multiple=fields.multiple,
        fillers=fillers(rules),
    )
    return smaller_vocabulary(model, rules, tokens)


def write_smaller(
    model: Model,
    vocabulary: Vocabulary,
    folder: Path,
    *,
    card: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Model:
    """Writes the model with fewer tokens, one block in memory, and opens it."""
    config = dataclasses.replace(model.config, vocab_size=len(vocabulary.tokens))
    layers = tuple(range(config.n_layers))
    source = Subset(model.source, config, vocabulary.tokens, layers)
    smaller = dataclasses.replace(model, config=config, source=source)
    writer = HfWriter(smaller, folder, overwrite, files=vocabulary.files)
    with progress_bar("write", config.n_layers, 0, progress) as bar:
        writer.copy_unpruned()
        for layer in layers:
            writer.write_block(smaller.block(layer), layer)
            bar.update()
    writer.close(card)
    return load(folder)


def report_on(
    model: Model, smaller: Model, vocabulary: Vocabulary, texts: Texts, heldout: Texts
) -> dict[str, Any]:
    """Sizes before and after, and by language the texts that split as before; see `proof`."""
    splits, examples = compare_splits(model, smaller, vocabulary.tokens, texts)
    others, _ = compare_splits(model, smaller, vocabulary.tokens, heldout)
    return {
        "tokens": {"before": model.config.vocab_size, "after": smaller.config.vocab_size},
        "parameters": {"before": model.size, "after": smaller.size},
        "selection": splits,
        **({"heldout": others} if others else {}),
        "differences": compare_numbers(model, smaller, vocabulary.tokens, examples),
    }
