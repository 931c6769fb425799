"""The steps of a packing: makes models of fewer tokens and of fewer bits, and measures what they lose."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxprune.base.progress import say
from jaxprune.base.text import points
from jaxprune.base.workdir.json_files import REPORT
from jaxprune.base.workdir.reading import GGUF
from jaxprune.data.config import TextFields
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.gguf.write import file_size
from jaxprune.hf.model import Model, load
from jaxprune.pruning.quantization import QuantizeFields
from jaxprune.recovery.config import DISTIL, RecoveryFields
from jaxprune.runs.packing.config import PackConfig
from jaxprune.runs.packing.job import (
    Job,
    Perplexities,
    losses_of,
    measured_texts,
    tokens_folder,
)
from jaxprune.runs.packing.plan import EXPECTED
from jaxprune.runs.packing.results import file_size_text
from jaxprune.runs.packing.steps import (
    GRID,
    USUAL_LOSS,
    Choice,
    Losses,
    Measured,
    Vocabulary,
    predicted_loss,
    within_size,
)
from jaxprune.runs.pipeline import calibration_of
from jaxprune.runs.planning.config import RecoverConfig, ShrinkConfig
from jaxprune.runs.planning.costs import kernel_sizes
from jaxprune.runs.quantize import quantize_to_workdir
from jaxprune.runs.recover import recover_to_workdir
from jaxprune.runs.shrink import shrink_to_workdir
from jaxprune.shrinking.choose import NothingDroppedError
from jaxprune.shrinking.config import ShrinkFields
from jaxprune.shrinking.expected import Shares, expected_shares
from jaxprune.shrinking.texts import texts_by_language

# Shares of each language's tokens that are kept, from most to fewest.
_COVERAGES = (0.9995, 0.999, 0.998, 0.996, 0.992)


def measured_vocabularies(job: Job, dense: Perplexities) -> list[Vocabulary]:
    """All tokens, and ever fewer until those that are missing cost too much."""
    none = dict.fromkeys(job.config.languages, 0.0)
    vocabularies = [Vocabulary(1.0, *_sizes(job.model), none)]
    expected = _expected(job)
    for coverage in _COVERAGES:
        try:
            smaller = _with_fewer_tokens(job, coverage, expected)
        except NothingDroppedError:  # the texts need all tokens of the model
            continue
        sizes = _sizes(smaller)
        if job.config.size is not None and sizes[0] > job.config.size:
            continue  # too large even in four bits
        losses = losses_of(measured_texts(job, tokens_folder(coverage), str(smaller.folder)), dense)
        say(f"{smaller.config.vocab_size:,} tokens: {_shown(losses)}")
        vocabularies.append(Vocabulary(coverage, *sizes, losses))
        if max(losses.values()) > _worth(job.config, vocabularies):
            break
    return vocabularies


def _worth(config: PackConfig, vocabularies: Sequence[Vocabulary]) -> float:
    """The loss above which fewer tokens are of no use: the limit, or what is predicted for the best so far."""
    if config.size is None:
        return config.largest_loss
    rounding = dict.fromkeys(config.languages, USUAL_LOSS)
    best = within_size(vocabularies, rounding, config.size)
    if best is None:
        return math.inf
    return predicted_loss(best.vocabulary, rounding, best.vocabulary.bits(best.size))


def _expected(job: Job) -> Shares:
    """The tokens that the model expects in the languages; computed once, for all coverages."""
    file = job.steps / "expected.npz"
    if not file.exists():
        texts = texts_by_language("--text", [job.texts("kept")], job.config.languages)
        arrays: dict[str, Any] = dict(expected_shares(job.model, texts, EXPECTED))
        unfinished = file.with_name("new.npz")
        np.savez(unfinished, **arrays)
        unfinished.replace(file)
    with np.load(file) as shares:
        return dict(shares)


def _with_fewer_tokens(job: Job, coverage: float, expected: Shares) -> Model:
    folder = job.steps / tokens_folder(coverage)
    if not (folder / REPORT).exists():
        fields = ShrinkFields(
            vocabulary=(job.texts("kept"),), languages=job.config.languages, expected=EXPECTED,
            coverage=coverage, heldout=(job.texts("reported"),),
        )  # fmt: skip
        config = ShrinkConfig(model=job.config.model, shrink=fields)
        shrink_to_workdir(config, folder, expected=expected)
    return load(folder / "hf")


def _sizes(model: Model) -> tuple[int, int]:
    """Bytes of the smallest file, and the number of weights in kernels."""
    fields = QuantizeFields(grid=GRID)
    weights = sum(kernel_sizes(model.config).values()) * model.config.n_layers
    return file_size(model, Types(fields.grid, fields.embedding)), weights


def rounded(job: Job, choice: Choice, dense: Perplexities) -> Measured:
    """Rounds the model of a choice, calibrated on all languages, and measures it."""
    name = f"{tokens_folder(choice.vocabulary.coverage)}_{choice.size}"
    folder = job.steps / name
    config = job.rounding(job.folder_of(choice.vocabulary), choice.size)
    if not (folder / REPORT).exists():
        model = config.open_model()
        batches, _ = calibration_of(config, model)
        quantize_to_workdir(model, batches, config, folder)
    return _measured_step(job, name, choice, dense)


def recovered(job: Job, before: Measured, dense: Perplexities) -> Measured:
    """Fits a rounded model to the dense one with the same tokens, and measures it."""
    name = f"{before.name}_recovered"
    config = RecoverConfig(
        model=job.folder_of(before.choice.vocabulary), seed=job.config.seed,
        calibration=TextFields(**job.calibration),
        recovery=RecoveryFields(
            run=str(job.steps / before.name), how=DISTIL, minutes=job.config.recover
        ),
    )  # fmt: skip
    if not (job.steps / name / REPORT).exists():
        recover_to_workdir(config, job.steps / name)
    return _measured_step(job, name, before.choice, dense)


def _measured_step(job: Job, name: str, choice: Choice, dense: Perplexities) -> Measured:
    folder = job.steps / name
    losses = losses_of(measured_texts(job, name, str(folder / "hf")), dense)
    say(f"{file_size_text((folder / GGUF).stat().st_size)}: {_shown(losses)}")
    return Measured(name, choice, losses)


def _shown(losses: Losses) -> str:
    shown = ", ".join(f"{code} {points(loss)}%" for code, loss in losses.items())
    return f"bits per byte {shown}"
