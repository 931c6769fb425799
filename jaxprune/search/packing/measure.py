"""The steps of a packing: makes models of fewer tokens and of fewer bits, and measures what they lose."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxprune.base.progress import say
from jaxprune.base.text import points
from jaxprune.base.workdir.reading import GGUF
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.gguf.write import file_size
from jaxprune.hf.model import Model, load
from jaxprune.pages.packed_model import file_size_text
from jaxprune.pruning.quantization import QuantizeFields
from jaxprune.search.packing.job import (
    DENSE,
    Job,
    Perplexities,
    losses_of,
    measured_texts,
)
from jaxprune.search.packing.plan import EXPECTED
from jaxprune.search.packing.steps import (
    GRID,
    Choice,
    Losses,
    Measured,
    Vocabulary,
)
from jaxprune.shrinking.choose import NothingDroppedError
from jaxprune.shrinking.config import ShrinkFields
from jaxprune.shrinking.expected import Shares, expected_shares
from jaxprune.shrinking.texts import texts_by_language
from jaxprune.steps.configs import ShrinkConfig
from jaxprune.steps.finished_run import finished_report
from jaxprune.steps.planning.costs import kernel_weights
from jaxprune.steps.quantize import Quantize
from jaxprune.steps.recover import Recover
from jaxprune.steps.shrink import Shrink


def all_tokens(job: Job) -> Vocabulary:
    """The vocabulary of the dense model."""
    none = dict.fromkeys(job.config.languages, 0.0)
    return Vocabulary({}, job.model.config.vocab_size, *_sizes(job.model), none, DENSE)


def measured_vocabulary(
    job: Job, vocabulary: Vocabulary, expected: Shares, dense: Perplexities
) -> Vocabulary | None:
    """Makes and measures the model with the tokens of a prediction; None if these are all tokens."""
    fields = ShrinkFields(
        vocabulary=(job.texts("kept"),), languages=job.config.languages, expected=EXPECTED,
        coverage=vocabulary.coverage, heldout=(job.texts("reported"),),
    )  # fmt: skip
    step = Shrink(ShrinkConfig(model=job.config.model, shrink=fields), expected)
    try:
        folder = job.store.made(step, f"tokens_{vocabulary.tokens}")
    except NothingDroppedError:
        return None
    smaller = load(folder / "hf")
    losses = losses_of(measured_texts(job, folder.name, str(smaller.folder)), dense)
    say(f"{smaller.config.vocab_size:,} tokens: {_shown(losses)}")
    return dataclasses.replace(
        vocabulary, name=folder.name, smallest=_sizes(smaller)[0], losses=losses
    )


def expected_tokens(job: Job) -> Shares:
    """The tokens that the model expects in the languages; computed once, for all choices."""
    file = job.steps / "expected.npz"
    if not file.exists():
        texts = texts_by_language("--text", [job.texts("kept")], job.config.languages)
        arrays: dict[str, Any] = dict(expected_shares(job.model, texts, EXPECTED))
        unfinished = file.with_name("new.npz")
        np.savez(unfinished, **arrays)
        unfinished.replace(file)
    with np.load(file) as shares:
        return dict(shares)


def _sizes(model: Model) -> tuple[int, int]:
    """Bytes of the smallest file, and the number of weights in kernels."""
    fields = QuantizeFields(grid=GRID)
    return file_size(model, Types(fields.grid, fields.embedding)), kernel_weights(model.config)


def rounded(job: Job, choice: Choice, earlier: Sequence[Measured], dense: Perplexities) -> Measured:
    """Rounds the model of a choice, calibrated on all languages, and measures it.

    Args:
      earlier: the roundings before; one of the same model has measured the errors of its grids, which do not depend on
        the size.
    """
    vocabulary = choice.vocabulary
    same = [step.name for step in earlier if step.choice.vocabulary.name == vocabulary.name]
    measured = (
        finished_report(job.steps / same[0], "pack")["allocation"]["measured"] if same else None
    )
    config = job.rounding(job.folder_of(vocabulary), choice.size)
    step = Quantize(config, measured, keeps_masks=False)
    folder = job.store.made(step, f"{vocabulary.tokens}_{choice.size}")
    return _measured_step(job, folder.name, choice, dense)


def recovered(job: Job, before: Measured, dense: Perplexities) -> Measured:
    """Fits a rounded model to the dense one with the same tokens, and measures it."""
    config = job.recovery(job.folder_of(before.choice.vocabulary), job.steps / before.name)
    folder = job.store.made(Recover(config), f"{before.choice.vocabulary.tokens}_recovered")
    return _measured_step(job, folder.name, before.choice, dense)


def _measured_step(job: Job, name: str, choice: Choice, dense: Perplexities) -> Measured:
    folder = job.steps / name
    losses = losses_of(measured_texts(job, name, str(folder / "hf")), dense)
    say(f"{file_size_text((folder / GGUF).stat().st_size)}: {_shown(losses)}")
    return Measured(name, choice, losses)


def _shown(losses: Losses) -> str:
    shown = ", ".join(f"{code} {points(loss)}%" for code, loss in losses.items())
    return f"bits per byte {shown}"
