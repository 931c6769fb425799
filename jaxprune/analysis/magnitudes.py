"""The magnitude of each feature on demonstrations of each language (the paper's section 3, figure 2).

A *set* is a kind of demonstrations in a language. Its name, "monolingual/fr" or "translation/fr"
(French → target), is the role of its batches and statistics.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from jaxprune.data.batches import Batch
from jaxprune.data.config import DemonstrationFields, TextFields
from jaxprune.data.demonstrations import sampled
from jaxprune.hf.model import Model
from jaxprune.stats.grouping import grouped, share_shapes
from jaxprune.stats.probe import probe
from jaxprune.stats.states import HALVES
from jaxprune.stats.stats import ActivationStats

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KINDS = ("monolingual", "translation")

# Limit on the hidden states of one pass; sets beyond it take more passes.
PASS_BYTES = 4 * 2**30


def demonstration_sets(
    tokenizer: "PreTrainedTokenizerBase | None",
    fields: DemonstrationFields,
    languages: Sequence[str],
    seed: int,
    compat: str,
) -> list[Batch]:
    """Monolingual demonstrations of each language, and translations of each other language into the target.

    Args:
      tokenizer, seed, compat: as in `jaxprune.demonstrations`.
      fields: `calibration.*`.
      languages: ISO 639-1 codes.

    Returns:
      Batches with the name of their set as role: first all monolingual sets, then all translations.

    Raises:
      InputError: as `jaxprune.demonstrations`.
    """
    batches: list[Batch] = []
    for kind, code in itertools.product(KINDS, languages):
        if (kind, code) == ("translation", fields.target):
            continue
        set_fields = TextFields(**vars(fields), kind=kind, source=(code,))
        [samples] = sampled(tokenizer, set_fields, seed, compat)
        batches += grouped([dataclasses.replace(samples, role=f"{kind}/{code}")])
    return share_shapes(batches)


def measure(model: Model, batches: Sequence[Batch], **options: Any) -> ActivationStats:
    """`jaxprune.probe` with the blocks' outputs, for any number of sets; each role is a set.

    Args:
      batches: sets share a pass over the blocks while their hidden states fit in `PASS_BYTES`.
      options: keyword arguments of `jaxprune.probe`.

    Raises:
      InputError: as `jaxprune.probe`.
    """
    passes: list[list[Batch]] = []
    room = 0
    for role in dict.fromkeys(batch.role for batch in batches):
        role_batches = [batch for batch in batches if batch.role == role]
        size = 4 * model.config.d_model * sum(batch.tokens.size for batch in role_batches)
        if not passes or size > room:
            passes.append([])
            room = PASS_BYTES
        passes[-1] += role_batches
        room -= size
    stats = [probe(model, pass_batches, hidden=True, **options) for pass_batches in passes]
    return functools.reduce(ActivationStats.merge, stats)


def split_halves(stats: ActivationStats) -> tuple[ActivationStats, ActivationStats]:
    """Statistics of `measure(halves=True)` → statistics of the sets, and of their halves."""
    halves = [role for role in stats.roles if role.endswith(HALVES)]
    return stats.of(role for role in stats.roles if role not in halves), stats.of(halves)


def over_median(norms: Float[np.ndarray, "*dims D"]) -> Float[np.ndarray, "*dims D"]:
    """Each feature over the median feature; for a median of 0, infinity, or 0 if the feature is 0."""
    median = np.broadcast_to(np.median(norms, axis=-1, keepdims=True), norms.shape)
    quotients = np.where(norms > 0, np.inf, 0).astype(norms.dtype)
    return np.divide(norms, median, out=quotients, where=median > 0)
