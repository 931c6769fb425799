"""A model, texts and samples by language → a smaller model as a Hugging Face folder, and a report on it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from jaxprune.calibration import Batch, check_batches
from jaxprune.errors import InputError, refusal
from jaxprune.files import sealed
from jaxprune.hf import HfWriter, Model, check_model, load, subset
from jaxprune.progress import progress_bar
from jaxprune.schema import PATH, check, fields_of
from jaxprune.shrinking.config import ShrinkFields
from jaxprune.shrinking.configs import check_read_back, configs_of
from jaxprune.shrinking.layers import Depth, chosen_layers
from jaxprune.shrinking.proof import compare_numbers, compare_splits
from jaxprune.shrinking.selection import chosen_tokens
from jaxprune.shrinking.tokenizer_rules import fillers, parts_of
from jaxprune.shrinking.vocabulary import (
    required_tokens,
    rules_of,
    token_counts,
    tokenizer_files,
    tokens_of_line_breaks,
)

Texts = Mapping[str, Sequence[str]]


class Shrunk(NamedTuple):
    """A smaller model and the report on it.

    Attributes:
      model: opened from the folder that was written.
      report: `tokens`, `layers` and `parameters` before and after; by language in `selection` and `heldout` the texts,
        how many split as before, and their tokens before and after; in `differences` the largest difference of hidden
        states and of logits of kept tokens over some texts that split as before, in float32; in `depth` the dropped
        layers and their influence by language.
    """

    model: Model
    report: dict[str, Any]


def shrink(
    model: Model,
    folder: str | Path,
    *,
    texts: Texts | None = None,
    heldout: Texts | None = None,
    coverage: float = 1.0,
    tokens: int | None = None,
    multiple: int = 64,
    batches: Sequence[Batch] = (),
    layers: int | None = None,
    drop_layers: Sequence[int] | None = None,
    one_by_one: bool = True,
    overwrite: bool = False,
    progress: bool = True,
) -> Shrunk:
    """Writes the model with fewer tokens or fewer layers as an ordinary, smaller Hugging Face folder.

    *Tokens.* A text whose tokens are all kept is split as before. Its hidden states are equal, and so are the logits of
    kept tokens; only the sum over the vocabulary in the softmax is of fewer tokens. Byte tokens, white space, special
    tokens and those of the chat template are always kept; special tokens that are called unused or reserved only if a
    text has them.

    *Layers.* The layers are dropped whose influence is least, 1 - mean cos(input, output) over tokens (ShortGPT), each
    layer as in the language that it influences most. Other layers are bit-identical.

    Args:
      model: for `texts` with a tokenizer of the kind BPE (byte-level, or with bytes for unknown characters) or Unigram.
      folder: new or empty, or with `overwrite` one that this package wrote.
      texts: by language code, whose tokens are kept; None keeps all tokens.
      heldout: other texts by language, for the report.
      coverage: least share of the tokens of each language's texts that are kept; the rarest ones are dropped.
      tokens: number of tokens to keep instead, by their largest share in a language.
      multiple: the number is filled up to a multiple of it, with the next tokens.
      batches: samples that measure the layers, with `layers`.
      layers: number of layers to keep; None keeps all.
      drop_layers: the layers to drop instead.
      one_by_one: measure again after each layer that is dropped.
      progress: show a progress bar.

    Raises:
      InputError: a value that is not allowed, nothing to shrink, no tokenizer or one of another kind, or a folder with
        other files.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> small, report = jp.shrink(model, "runs/example/fr", texts={"fr": ["le chat dort"]}, progress=False)
      >>> small.config.vocab_size < model.config.vocab_size
      True
      >>> report["selection"]["fr"]["same"], report["differences"]["logits"]
      (1, 0.0)
    """
    check_model(model)
    check("folder", folder, PATH)
    check_batches(batches)
    named = None if drop_layers is None else ",".join(map(str, drop_layers))
    fields = ShrinkFields(
        coverage=coverage, tokens=tokens, multiple=multiple, layers=layers, drop_layers=named,
        one_by_one=one_by_one,
    )  # fmt: skip
    for name in ("coverage", "tokens", "multiple", "layers", "drop_layers", "one_by_one"):
        check(name, getattr(fields, name), fields_of(ShrinkFields)[name])
    for code, of_code in {**(texts or {}), **(heldout or {})}.items():
        if isinstance(of_code, str) or not all(isinstance(text, str) for text in of_code):
            raise refusal(f"texts: {code}", of_code, "a list of texts")
    if not texts and layers is drop_layers is None:
        raise InputError("shrink: nothing to shrink; allowed: texts, layers or drop_layers")
    kept = choose_tokens(model, texts, fields) if texts else Kept()
    kept = kept._replace(depth=choose_layers(model, fields, batches, progress=progress))
    folder = Path(folder).expanduser().absolute()
    try:
        smaller = write_smaller(model, kept, folder, overwrite=overwrite, progress=progress)
    except BaseException:
        sealed.discard(folder)
        raise
    return Shrunk(smaller, report_on(model, smaller, kept, texts or {}, heldout or {}))


class Kept(NamedTuple):
    """The parts of a model that a smaller one has.

    Attributes:
      tokens: [V] the old id of each token, ascending; None: all.
      files: the new content of the tokenizer's files, see `vocabulary.tokenizer_files`.
      depth: the layers; None: all.
    """

    tokens: np.ndarray | None = None
    files: Mapping[str, dict[str, Any] | None] = MappingProxyType({})
    depth: Depth | None = None


def choose_tokens(
    model: Model, texts: Texts, fields: ShrinkFields, words: Texts = MappingProxyType({})
) -> Kept:
    """The tokens of the texts by language, and the tokenizer that has them alone.

    Args:
      words: other texts whose tokens are kept in any case.

    Raises:
      InputError: no tokenizer, or one of another kind than BPE and Unigram.
    """
    rules, counts = rules_of(model), token_counts(model, texts)
    tokens = chosen_tokens(
        counts,
        required_tokens(model, rules).union(*token_counts(model, words).values())
        | tokens_of_line_breaks(model, texts, counts),
        parts_of(rules),
        coverage=fields.coverage,
        tokens=fields.tokens,
        multiple=fields.multiple,
        fillers=fillers(rules),
    )
    return Kept(tokens, tokenizer_files(model, rules, tokens))


def choose_layers(
    model: Model,
    fields: ShrinkFields,
    batches: Sequence[Batch],
    *,
    dtype: str = "float32",
    progress: bool = True,
) -> Depth | None:
    """The layers of `fields.drop_layers` or `fields.layers`; None if neither is set.

    Raises:
      InputError: both are set; a layer that the model does not have; all layers.
    """
    whole, named = model.config.n_layers, fields.drop_layers
    if named is None and fields.layers is None:
        return None
    if named is not None and fields.layers is not None:
        raise InputError("shrink.drop_layers: set with shrink.layers; allowed: one of them")
    if named is None:
        return chosen_layers(
            model, batches, int(fields.layers or 0), one_by_one=fields.one_by_one, dtype=dtype,
            progress=progress,
        )  # fmt: skip
    dropped = tuple(map(int, named.split(",")))
    kept = tuple(layer for layer in range(whole) if layer not in dropped)
    if max(dropped) >= whole or not kept:
        raise refusal("shrink.drop_layers", named, f"some of the layers 0 to {whole - 1}")
    return Depth(kept, dropped, {})


def write_smaller(
    model: Model,
    kept: Kept,
    folder: Path,
    *,
    card: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Model:
    """Writes the smaller model, one block in memory, and opens it."""
    smaller = subset(model, kept.tokens, kept.depth and kept.depth.kept)
    new_ids = {} if kept.tokens is None else {old: i for i, old in enumerate(kept.tokens.tolist())}
    files = {**kept.files, **configs_of(model, smaller.config, new_ids)}
    texts = {
        name: None if raw is None else json.dumps(raw, ensure_ascii=False, indent=2) + "\n"
        for name, raw in files.items()
    }
    writer = HfWriter(smaller, folder, overwrite, files=texts)
    layers = smaller.config.n_layers
    with progress_bar("write", layers, 0, progress) as bar:
        writer.copy_unpruned()
        for layer in range(layers):
            writer.write_block(smaller.block(layer), layer)
            bar.update()
    writer.close(card)
    written = load(folder)
    check_read_back(smaller.config, written.config)
    return written


def report_on(
    model: Model, smaller: Model, kept: Kept, texts: Texts, heldout: Texts
) -> dict[str, Any]:
    """Sizes before and after; by language the texts that split as before, and the influence of layers."""
    report: dict[str, Any] = {
        "tokens": {"before": model.config.vocab_size, "after": smaller.config.vocab_size},
        "layers": {"before": model.config.n_layers, "after": smaller.config.n_layers},
        "parameters": {"before": model.size, "after": smaller.size},
    }
    if kept.tokens is not None:
        splits, examples = compare_splits(model, smaller, kept.tokens, texts)
        others, _ = compare_splits(model, smaller, kept.tokens, heldout)
        report["selection"] = splits
        if others:
            report["heldout"] = others
        if examples and kept.depth is None:
            report["differences"] = compare_numbers(model, smaller, kept.tokens, examples)
    if kept.depth is not None:
        influence = {code: values.tolist() for code, values in kept.depth.influence.items()}
        report["depth"] = {"dropped": [*kept.depth.dropped], "influence": influence}
    return report
