"""Sentences, code or token ids → batches of tokens, left-justified, in a few static shapes."""

from jaxprune.calibration.batches import (
    Batch,
    SetKey,
    by_kind,
    by_language,
    check_batches,
    check_ids,
    check_tokens,
    cut_pads,
    digest,
    set_tokens,
)
from jaxprune.calibration.combinations import COMBINATIONS, SUM, Combination
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
    "COMBINATIONS",
    "COMPAT",
    "KINDS",
    "SEED",
    "SUM",
    "Batch",
    "CalibrationFields",
    "Combination",
    "SetKey",
    "aligned",
    "by_kind",
    "by_language",
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
    "languages_field",
    "line_range",
    "lines_of",
    "prompts",
    "sample_lines",
    "sentences",
    "set_tokens",
    "share_shapes",
    "text_place",
    "token_batches",
]
