"""A model, texts and samples by language → the tokens, layers and neurons that a smaller model keeps."""

import functools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.data.batches import Batch
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig
from jaxprune.shrinking.config import ShrinkFields, coverage_text
from jaxprune.shrinking.expected import Shares, expected_shares
from jaxprune.shrinking.layers import Depth, chosen_layers
from jaxprune.shrinking.selection import chosen_tokens
from jaxprune.shrinking.texts import Texts
from jaxprune.shrinking.tokenizer_rules import Parts, fillers, parts_of
from jaxprune.shrinking.vocabulary import (
    required_tokens,
    rules_of,
    token_counts,
    tokenizer_files,
    tokens_of_line_breaks,
)
from jaxprune.stats.mixture import Mixture


class NothingDroppedError(InputError):
    """All tokens, layers and neurons would be kept."""


class Samples(NamedTuple):
    """The samples that measure layers and neurons.

    Attributes:
      batches: batches with languages; token ids count as one language.
      mixture: combines the Gram matrices of languages.
      dtype: dtype of the weights on the devices.
    """

    batches: Sequence[Batch] = ()
    mixture: Mixture = Mixture()
    dtype: str = "float32"


class Kept(NamedTuple):
    """The parts of a model that a smaller one has.

    Attributes:
      tokens: [V] the old id of each token, ascending; None: all.
      files: the new content of the tokenizer's files, see `vocabulary.tokenizer_files`.
      depth: the layers; None: all.
      neurons: number of neurons of each block; None: all.
    """

    tokens: np.ndarray | None = None
    files: Mapping[str, dict[str, Any] | None] = MappingProxyType({})
    depth: Depth | None = None
    neurons: int | None = None


def choose(
    model: Model,
    fields: ShrinkFields,
    texts: Texts,
    samples: Samples,
    words: Texts = MappingProxyType({}),
    expected: Shares | None = None,
    *,
    progress: bool = True,
) -> Kept:
    """The parts to keep.

    Args:
      texts: texts by language whose tokens are kept; if empty, all tokens are kept.
      words: other texts whose tokens are always kept.
      expected: the result of `expected_shares` for these texts, if it is known.

    Raises:
      InputError: no tokenizer, or one of another kind than BPE and Unigram; layers that the model does not have;
        nothing to drop.
    """
    if not samples.batches and not (fields.layers is fields.mlp is None):
        raise InputError("shrink: no samples; give batches, with layers or mlp")
    kept = Kept()
    if texts:
        if fields.expected is not None and expected is None:
            expected = expected_shares(
                model, texts, fields.expected, dtype=samples.dtype, progress=progress
            )
        kept = _tokens(model, texts, fields, words, expected or {})
    depth = _layers(model, fields, samples, progress=progress)
    kept = kept._replace(depth=depth, neurons=kept_neurons(model.config, fields))
    whole = kept.tokens is None or len(kept.tokens) == model.config.vocab_size
    if whole and depth is None and kept.neurons is None:
        raise NothingDroppedError(
            "shrink: nothing is dropped; expected texts that lack tokens, or a smaller shrink.coverage, shrink.tokens, "
            "shrink.layers or shrink.mlp"
        )
    return kept


def _tokens(
    model: Model,
    texts: Texts,
    fields: ShrinkFields,
    words: Texts,
    expected: Shares,
) -> Kept:
    """The tokens of the texts by language, and the tokenizer that has them alone.

    Args:
      expected: shares of all tokens by language, which count as much as the texts; see `expected_shares`.
    """
    candidates = candidate_tokens(model, texts, words, expected)
    tokens = candidates.chosen(fields)
    return Kept(tokens, tokenizer_files(model, candidates.rules, tokens))


class Candidates(NamedTuple):
    """What decides which tokens are kept.

    Attributes:
      rules: of the tokenizer.
      parts: token → its parts, see `tokenizer_rules.parts_of`.
      counts: how often the texts of each language contain each token, or how often they are expected to.
      always: ids that are always kept.
    """

    rules: Mapping[str, Any]
    parts: Parts
    counts: Mapping[str, Mapping[int, float]]
    always: set[int]

    def chosen(self, fields: ShrinkFields) -> np.ndarray:
        """The ids to keep, ascending.

        Raises:
          InputError: a language without a coverage.
        """
        coverage = fields.coverage
        if isinstance(coverage, Mapping) and {*coverage} != {*self.counts}:
            raise invalid_value(
                "shrink.coverage",
                coverage_text(coverage),
                f"one for each of {', '.join(self.counts)}",
            )
        return chosen_tokens(
            self.counts, self.always, self.parts, coverage=coverage, tokens=fields.tokens,
            multiple=fields.multiple, fillers=fillers(self.rules),
        )  # fmt: skip


def candidate_tokens(model: Model, texts: Texts, words: Texts, expected: Shares) -> Candidates:
    """The candidates of some texts; the arguments are those of `choose`."""
    rules, counts = rules_of(model), token_counts(model, texts)
    always = required_tokens(model, rules).union(*token_counts(model, words).values())
    return Candidates(
        rules,
        functools.cache(parts_of(rules)),
        {code: _with_shares(own, expected.get(code)) for code, own in counts.items()},
        always | tokens_of_line_breaks(model, texts, counts),
    )


def _with_shares(
    counts: Counter[int], shares: Float[np.ndarray, " V"] | None
) -> Mapping[int, float]:
    """Counts, and shares as counts of the same sum."""
    if shares is None:
        return counts
    sums = counts.total() * shares / shares.sum()
    np.add.at(sums, [*counts], [*counts.values()])
    return dict(enumerate(sums.tolist()))


def _layers(
    model: Model, fields: ShrinkFields, samples: Samples, *, progress: bool
) -> Depth | None:
    """The layers of `fields.drop_layers` or `fields.layers`; None if neither is set."""
    whole, dropped = model.config.n_layers, fields.drop_layers
    if dropped is None and fields.layers is None:
        return None
    if dropped is None:
        return chosen_layers(
            model, samples.batches, int(fields.layers or 0), one_by_one=fields.one_by_one,
            dtype=samples.dtype, progress=progress,
        )  # fmt: skip
    kept = tuple(layer for layer in range(whole) if layer not in dropped)
    if max(dropped) >= whole or not kept:
        numbers = ",".join(map(str, dropped))
        raise invalid_value("shrink.drop_layers", numbers, f"some of the layers 0 to {whole - 1}")
    return Depth(kept, dropped, {})


def kept_neurons(config: ModelConfig, fields: ShrinkFields) -> int | None:
    """The number of neurons of each block to keep; None for all.

    Raises:
      InputError: it is the number of all.
    """
    if fields.mlp is None:
        return None
    whole = config.d_ff
    neurons = math.ceil(fields.mlp * whole / fields.multiple) * fields.multiple
    if neurons >= whole:
        raise InputError(
            f"shrink.mlp: got {fields.mlp:g}, which keeps all {whole} neurons of a block, as their number is a "
            f"multiple of {fields.multiple}; set less, or a smaller shrink.multiple"
        )
    return neurons
