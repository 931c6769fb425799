"""The fields `calibration.*` and their dependencies; also `seed` and `compat`, which determine the samples too."""

import itertools
from collections.abc import Collection

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.schema import choice, config_record, fields_of, integer, rule, text
from jaxprune.data.draws import draw_field
from jaxprune.data.kinds import KINDS, CalibrationKind
from jaxprune.data.languages import LANGUAGES, code_hint, language, sources_field
from jaxprune.data.line_range import line_range

# JAX makes a key of the last 32 bits, so a larger seed would give the masks of a smaller one.
SEED = integer(0, 0, "of shuffles and random masks", below=2**32)
COMPAT = choice(
    ("corrected", "official"),
    "corrected",
    "`official` reproduces the differences between the authors' code and their paper: pads count as tokens, skipped "
    "rows, an unguarded division",
)


# Tokens whose features statistics measure.
ALL, SOURCE, TARGET = "all", "source", "target"
_CODES = tuple(LANGUAGES)


@config_record
class SentenceFields:
    """The fields `calibration.*` of sentences, as demonstrations of a translation."""

    data: str = text(
        "openlanguagedata/flores_plus",
        "a folder of <language>.txt, a FLORES-200 release, a hub data set id, an .npz (for tokens)",
        "location of the sentences or token ids",
    )
    lines: str | None = line_range("range of the sentences to use, counted from 0, as `0-299`")
    target: str = rule(
        "a language code such as fr",
        lambda value: value in _CODES,
        "en",
        hint=code_hint,
        meaning="target language of translations",
    )
    # The paper's 100 samples of 4 pairs, cut at 512 tokens.
    shots: int = integer(4, 1, "pairs, or sentences, per sample")


@config_record
class DemonstrationFields(SentenceFields):
    """The fields `calibration.*` of demonstrations in any language."""

    samples: int = integer(100, 1, "number of samples")
    max_length: int = integer(512, 2, "tokens at which a sample is truncated")
    draw: str | None = draw_field(
        "one of n disjoint parts of these lines, whole documents, as `2/5`, and of the files of code"
    )


@config_record
class TextFields(DemonstrationFields):
    """The fields `calibration.*` of samples."""

    kind: str = choice(KINDS, "translation", "kind of the samples")
    source: tuple[str, ...] = sources_field(
        "language (ISO 639-1, or 639-3 if it has no such code), or several with + or commas, in alternation: "
        "sample i is in language i mod n"
    )
    code: str | None = text(
        None, "a folder of .py files or a hub data set id", "location of the code"
    )


@config_record
class SampleFields(TextFields):
    """The fields `calibration.*` of samples, with the tokens that statistics measure."""

    tokens: str = choice(
        (ALL, SOURCE, TARGET),
        ALL,
        "tokens that statistics measure: `all`, or those of one side, with kinds in two languages; all are read",
    )


def check_texts(fields: TextFields) -> None:
    """Rejects a source twice or without a sample, a source as target, missing code.

    Raises:
      InputError: names the field and its value.
    """
    kind, source, target = KINDS[fields.kind], fields.source, fields.target
    source_text = ",".join(source)
    for first, second in itertools.combinations(source, 2):
        if _same_text(first, second):
            raise InputError(
                f"calibration.source: got {source_text!r}; {first} and {second} are the same text; "
                "expected each language once"
            )
    least = len(source) * kind.least
    if least > fields.samples:
        raise invalid_value(
            "calibration.samples",
            fields.samples,
            f"{least} or more for {source_text} with kind {kind.name}",
        )
    if kind.reads_text and kind.may_hold_code and fields.code is None:
        allowed = fields_of(TextFields)["code"].allowed
        raise InputError(
            f"calibration.code: not set; kind {kind.name} needs it; expected {allowed}"
        )
    if kind.has_target and any(_same_text(code, target) for code in source):
        which = "the source" if len(source) == 1 else f"one of the sources {source_text}"
        raise InputError(f"calibration.target: got {target!r}, {which}; choose another language")


def check_side(tokens: str, kind: CalibrationKind, compat: str) -> None:
    """Rejects tokens of one side in samples of one language, and where pads count."""
    if tokens != ALL and (not kind.has_target or compat == "official"):
        raise InputError(
            f"calibration.tokens: got {tokens!r}; expected {ALL}, with kind {kind.name} and compat {compat}"
        )


def _same_text(first: str, second: str) -> bool:
    return first == second or bool({*language(first).flores} & {*language(second).flores})


def check_calibration(
    calibration: SampleFields, criterion: str, roles: Collection[str], compat: str
) -> None:
    """Rejects fields that define no calibration set, or one without a set that the criterion needs.

    Args:
      calibration: the group of fields.
      criterion: name of the criterion, for messages.
      roles: the sets that the criterion compares, such as ("demonstrations", "code").
      compat: `compat` of the config.

    Raises:
      InputError: names the field.
    """
    kind = KINDS[calibration.kind]
    check_side(calibration.tokens, kind, compat)
    with_code = "code" in roles
    if with_code and not kind.may_hold_code:
        able = " or ".join(name for name, other in KINDS.items() if other.may_hold_code)
        raise invalid_value(
            "calibration.kind", kind.name, f"{able}, as pruning.criterion {criterion} needs code"
        )
    if not kind.reads_lines:
        check_all_rows(calibration)
    if kind.reads_text:
        check_texts(calibration)


def check_all_rows(calibration: TextFields) -> None:
    """Rejects a part of ready-made tokens; raises InputError."""
    for name in ("lines", "draw"):
        if (value := getattr(calibration, name)) is not None:
            raise invalid_value(f"calibration.{name}", value, f"none, with {calibration.kind}")
