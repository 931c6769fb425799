"""A model and the parts to keep → a smaller model as a Hugging Face folder, and the report on it."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.base.progress import progress_bar
from jaxprune.hf.export import HfWriter
from jaxprune.hf.model import Model, load
from jaxprune.hf.subset import subset
from jaxprune.shrinking.choose import Kept, Samples, Texts
from jaxprune.shrinking.configs import check_read_back, configs_of
from jaxprune.shrinking.vocabulary import split
from jaxprune.shrinking.width import Narrow, narrow_blocks


def write_smaller(
    model: Model,
    kept: Kept,
    samples: Samples,
    folder: Path,
    *,
    card: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> tuple[Model, list[Narrow]]:
    """Writes the smaller model, with one block in memory, and opens it.

    Returns:
      The smaller model; and a record of each block, without parameters, if blocks have fewer neurons.

    Raises:
      InputError: a config.json of this family cannot express the smaller model; another content of the folder.
    """
    layers = kept.depth and kept.depth.kept
    smaller = subset(model, kept.tokens, layers)
    if kept.neurons is not None:
        config = dataclasses.replace(smaller.config, d_ff=kept.neurons)
        smaller = dataclasses.replace(smaller, config=config)
    new_ids = {} if kept.tokens is None else {old: i for i, old in enumerate(kept.tokens.tolist())}
    configs = configs_of(model, smaller.config, new_ids)
    check_read_back(smaller.config, configs["config.json"])
    texts = {
        name: None if raw is None else json.dumps(raw, ensure_ascii=False, indent=2) + "\n"
        for name, raw in {**kept.files, **configs}.items()
    }
    writer = HfWriter(smaller, folder, overwrite, files=texts)
    writer.copy_unpruned()
    narrow = list[Narrow]()
    if kept.neurons is None:
        with progress_bar("write", smaller.config.n_layers, 0, progress) as bar:
            for layer in range(smaller.config.n_layers):
                writer.write_block(smaller.block(layer), layer)
                bar.update()
    else:
        blocks = narrow_blocks(
            subset(model, layers=layers), samples, kept.neurons, progress=progress
        )
        for layer, block in enumerate(blocks):
            writer.write_block(block.params, layer)
            narrow.append(block._replace(params={}))
    writer.close(card=card)
    return load(folder), narrow


def report_on(
    model: Model, smaller: Model, kept: Kept, narrow: Sequence[Narrow], texts: Texts, heldout: Texts
) -> dict[str, Any]:
    """Sizes before and after; by language the texts that split as before, the influence of layers, neurons' shares."""
    report: dict[str, Any] = {
        "tokens": {"before": model.config.vocab_size, "after": smaller.config.vocab_size},
        "layers": {"before": model.config.n_layers, "after": smaller.config.n_layers},
        "parameters": {"before": model.size, "after": smaller.size},
    }
    if kept.tokens is not None:
        report["selection"] = _compare_splits(model, smaller, kept.tokens, texts)
        if heldout:
            report["heldout"] = _compare_splits(model, smaller, kept.tokens, heldout)
    if kept.depth is not None:
        influence = {code: values.tolist() for code, values in kept.depth.influence.items()}
        report["depth"] = {"dropped": [*kept.depth.dropped], "influence": influence}
    if narrow:
        report["neurons"] = {"before": model.config.d_ff, "after": smaller.config.d_ff}
        shares = {code: [block.shares[code] for block in narrow] for code in narrow[0].shares}
        report["width"] = {"shares": shares, "damping": [block.damping for block in narrow]}
    return report


def _compare_splits(
    model: Model, smaller: Model, tokens: np.ndarray, texts: Texts
) -> dict[str, dict[str, int]]:
    """The number of texts by language, of those that split as before, and of tokens before and after.

    Args:
      tokens: [V] the old id of each token of `smaller`.
    """
    splits, old = dict[str, dict[str, int]](), tokens.tolist()
    for code, language_texts in texts.items():
        counts = {"texts": len(language_texts), "same": 0, "before": 0, "after": 0}
        before, after = split(model, language_texts), split(smaller, language_texts)
        for ids, new in zip(before, after, strict=True):
            counts["before"] += len(ids)
            counts["after"] += len(new)
            counts["same"] += ids == [old[i] for i in new]
        splits[code] = counts
    return splits
