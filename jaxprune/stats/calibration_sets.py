"""`jaxprune.demonstrations` and `jaxprune.token_batches`: samples in batches, as a pass reads them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxprune.base.schema import PATH, check, checked
from jaxprune.data.batches import Batch
from jaxprune.data.config import COMPAT, SEED, SampleFields
from jaxprune.data.demonstrations import sampled
from jaxprune.data.ready_tokens import token_samples
from jaxprune.stats.grouping import grouped

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def demonstrations(
    tokenizer: "PreTrainedTokenizerBase | None",
    data: str | Path,
    *,
    kind: str = "translation",
    source: str | Sequence[str] = "fr",
    target: str = "en",
    shots: int = 4,
    samples: int = 100,
    max_length: int = 512,
    seed: int = 0,
    compat: str = "corrected",
    code: str | Path | None = None,
    lines: str | None = None,
    draw: str | None = None,
    tokens: str = "all",
) -> list[Batch]:
    """Calibration batches of demonstrations.

    With `compat="corrected"` a permutation of the aligned lines (by `seed`) is divided into samples of `shots`
    lines without gaps, samples are grouped by length, and pads are not valid. `"official"` reproduces the
    authors' code: `sample_lines` with its gaps, and every sample padded to `max_length` on the tokenizer's side
    with pads that count as real tokens.

    Several sources alternate in the given order. Sample i is sample i of the set that source i mod n alone would give,
    so 100 samples of three languages are 34, 33 and 33. If all languages have the same number of lines, no line number
    is used in two of them.

    Args:
      tokenizer: one of transformers; called with its default special tokens and truncation at `max_length`.
      data: a folder of <language>.txt, a FLORES-200 release, a hub data set id, or "nano".
      kind: "translation", "shuffled", "unpaired", "monolingual" (of `source`), or with code "translation_vs_code"
        or "monolingual_vs_code".
      source: ISO 639-1 code, or several as "fr+ru+sw", "fr,ru,sw" or a list.
      target: ISO 639-1 code; monolingual samples do not use it.
      shots: sentences, or pairs of them, in a sample.
      samples: number of samples, over all sources.
      max_length: tokens at which a sample is truncated.
      seed: seed of the order of the lines.
      compat: see above.
      code: for kinds with code, the location of source files, of which `samples` are used; see
        `texts.code_samples`.
      lines: range of the sentences to use, as "0-299": counted from 0, the last one included; by default all.
      draw: one of n disjoint parts of these lines, as "2/5". Documents stay whole, as `index.tsv` in the folder names
        them, otherwise runs of ten lines. Files of code are divided too, by `seed`, which shuffles text within a draw.
      tokens: "all", or for kinds with two languages "source" or "target": statistics measure only the tokens of the
        sentences in this language, with its name and the end mark; all tokens are read.

    Returns:
      Batches with role "translation", "shuffled", "unpaired" or "monolingual", then those with role "code".

    Raises:
      InputError: an argument out of range, unreadable or too few texts, no tokenizer or one without eos, a
        sample without tokens.
      OSError: the hub cannot be reached.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> batches = jp.demonstrations(model.tokenizer, "nano", source="fr,sw", samples=8)
      >>> sum(len(batch.samples) for batch in batches)
      8
      >>> sorted({*batches[0].languages})
      ['fr', 'sw']
      >>> "English:" in model.tokenizer.decode(batches[0].tokens[0])
      True
    """
    check("seed", seed, SEED)
    check("compat", compat, COMPAT)
    check("data", data, PATH)
    arguments = {
        "data": str(data), "kind": kind, "source": source, "target": target, "shots": shots,
        "samples": samples, "max_length": max_length, "code": None if code is None else str(code),
        "lines": lines, "draw": draw, "tokens": tokens,
    }  # fmt: skip
    fields = checked(SampleFields, arguments, "calibration.")
    return grouped(sampled(tokenizer, fields, seed, compat))


def token_batches(path: str | Path, *, compat: str = "corrected") -> list[Batch]:
    """Calibration batches of ready-made token ids; needs no tokenizer.

    Args:
      path: an `.npz` with `input_ids` [N, T] and, optionally, `attention_mask` [N, T] and
        `code_ids` [M, T]. All rows are used, at their length.
      compat: "official" keeps the rows as they are and counts pads as real tokens.

    Returns:
      Batches with role "tokens", then those with role "code".

    Raises:
      InputError: no such file, not an .npz, unknown arrays, no matrix of token ids, a mask of another shape or with
        values other than 0 and 1, or a row without real tokens or with pads between them.

    Examples:
      >>> import jaxprune as jp, numpy as np
      >>> np.savez("ids.npz", input_ids=np.arange(24).reshape(2, 12))
      >>> [batch] = jp.token_batches("ids.npz")
      >>> batch.role, batch.num_tokens
      ('tokens', 24)
    """
    check("path", path, PATH)
    check("compat", compat, COMPAT)
    return grouped(token_samples(Path(path), compat))
