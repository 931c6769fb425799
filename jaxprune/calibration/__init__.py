"""Sentences, code or token ids → batches of tokens, left-justified, in a few static shapes."""

from jaxprune.calibration.batches import (
    Batch,
    check_batches,
    check_ids,
    check_tokens,
    cut_pads,
    digest,
    language_counts,
    token_counts,
)
from jaxprune.calibration.config import COMPAT, SEED, CalibrationFields, check_calibration
from jaxprune.calibration.demonstrations import demonstrations, prompts, sample_lines, token_batches
from jaxprune.calibration.grouping import from_arrays, group_by_length, share_shapes
from jaxprune.calibration.kinds import KINDS
from jaxprune.calibration.languages import language, languages_field
from jaxprune.calibration.line_range import line_range, lines_of
from jaxprune.calibration.nano import text_place
from jaxprune.calibration.texts import (
    aligned,
    chosen_languages,
    hub_data_sets,
    hub_id,
    sentences,
)

__all__ = [
    "COMPAT",
    "KINDS",
    "SEED",
    "Batch",
    "CalibrationFields",
    "aligned",
    "check_batches",
    "check_calibration",
    "check_ids",
    "check_tokens",
    "chosen_languages",
    "cut_pads",
    "demonstrations",
    "digest",
    "from_arrays",
    "group_by_length",
    "hub_data_sets",
    "hub_id",
    "language",
    "language_counts",
    "languages_field",
    "line_range",
    "lines_of",
    "prompts",
    "sample_lines",
    "sentences",
    "share_shapes",
    "text_place",
    "token_batches",
    "token_counts",
]
