"""The fields `calibration.*`, and which of them go together; `seed` and `compat`, which samples depend on too."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Collection
from pathlib import Path

from jaxprune.calibration.combinations import COMBINATIONS, SUM
from jaxprune.calibration.kinds import KINDS
from jaxprune.calibration.languages import LANGUAGES, code_hint, joined, language
from jaxprune.calibration.line_range import line_range
from jaxprune.errors import InputError, listed, refusal
from jaxprune.files import BROKEN_ZIP, open_regular
from jaxprune.schema import are_names, check, choice, config_record, fields_of, integer, rule, text

# JAX makes a key of the last 32 bits: a larger seed would give the masks of a smaller one.
SEED = integer(0, 0, "of shuffles and random masks", below=2**32)
COMPAT = choice(
    ("corrected", "official"),
    "corrected",
    "`official` reproduces what the authors' code does differently from their paper: pads as tokens, the rows it "
    "skips, the unguarded division",
)


_CODES = tuple(LANGUAGES)


@config_record
class CalibrationFields:
    """The fields `calibration.*`."""

    kind: str = choice(KINDS, "translation", "what is fed through the model")
    source: str = rule(
        "a language code such as fr, or several, each once, as fr,ru,sw or fr+ru+sw",
        lambda value: isinstance(value, str) and are_names(",".join(joined(value)), _CODES),
        "fr",
        hint=code_hint,
        meaning="language (ISO 639-1, or 639-3 where that has none), or several with + or commas, which take turns: "
        "sample i is of language i mod n",
    )
    target: str = rule(
        "a language code such as fr",
        lambda value: value in _CODES,
        "en",
        hint=code_hint,
        meaning="language that is translated into",
    )
    # The paper's 100 samples of 4 pairs, cut at 512 tokens.
    shots: int = integer(4, 1, "pairs, or sentences, of a sample")
    samples: int = integer(100, 1, "how many samples")
    max_length: int = integer(512, 2, "tokens at which a sample is cut")
    data: str = text(
        "openlanguagedata/flores_plus",
        "a folder of <language>.txt, a FLORES-200 release, a hub data set id, an .npz (for tokens)",
        "where the sentences are, or the token ids",
    )
    lines: str | None = line_range("of the sentences only these, counted from 0, as `0-299`")
    code: str | None = text(None, "a folder of .py files or a hub data set id", "where the code is")
    combine: str = choice(
        COMBINATIONS,
        SUM.name,
        "what a criterion sees of several languages, whose statistics are measured apart: "
        + ", ".join(f"`{one.name}`, {one.meaning}" for one in COMBINATIONS.values()),
    )


FIELDS = fields_of(CalibrationFields)


def check_texts(kind: str, source: str, target: str, samples: int, code: object) -> None:
    """Refuses an unknown kind or language, one source twice or without a sample, a translation into a source, no code.

    Args:
      source: codes with + or commas.
      samples: of all of them together.

    Raises:
      InputError: names the field and what it got.
    """
    check("calibration.kind", kind, FIELDS["kind"])
    check("calibration.source", source, FIELDS["source"])
    codes = joined(source)
    for one, other in itertools.combinations(codes, 2):
        if _same_text(one, other):
            raise InputError(
                f"calibration.source: got {source!r}, of which {one} and {other} are the same text; "
                "allowed: each language once"
            )
    if len(codes) > samples:
        raise InputError(
            f"calibration.samples: got {samples} for {source}; allowed: one of each language, {len(codes)} or more"
        )
    if not KINDS[kind].translates:
        return
    check("calibration.target", target, FIELDS["target"])
    if any(_same_text(code, target) for code in codes):
        which = "the source" if len(codes) == 1 else f"one of the sources {source}"
        raise InputError(f"calibration.target: got {target!r}, {which}; allowed: another language")
    if KINDS[kind].may_hold_code and code is None:
        raise InputError(
            f"calibration.code: not set; kind {kind} needs it; allowed: {FIELDS['code'].allowed}"
        )


def _same_text(one: str, other: str) -> bool:
    return one == other or bool({*language(one).flores} & {*language(other).flores})


def check_calibration(
    calibration: CalibrationFields, criterion: str, roles: Collection[str]
) -> None:
    """Refuses a calibration set that lacks what a criterion measures, or fields that do not make one.

    Args:
      calibration: the group of fields.
      criterion: its name, for messages.
      roles: the sets that it compares, such as ("demonstrations", "code").

    Raises:
      InputError: names the field.
    """
    kind = KINDS[calibration.kind]
    with_code = "code" in roles
    if with_code and not kind.may_hold_code:
        able = " or ".join(name for name, other in KINDS.items() if other.may_hold_code)
        raise refusal(
            "calibration.kind",
            kind.name,
            f"{able}, as pruning.criterion {criterion} compares with code",
        )
    if not kind.reads_text:
        arrays = _npz_names(calibration.data, kind.name)
        if with_code and "code_ids" not in arrays:
            raise InputError(
                f"calibration.data: {calibration.data} holds {listed(sorted(arrays), ' ')}; "
                f"pruning.criterion {criterion} needs code_ids as well"
            )
        return
    source, target = calibration.source, calibration.target
    check_texts(kind.name, source, target, calibration.samples, calibration.code)


def _npz_names(path: str, kind: str) -> set[str]:
    try:
        with open_regular(Path(path).expanduser()) as file, zipfile.ZipFile(file) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except InputError:
        raise
    except BROKEN_ZIP:
        raise InputError(
            f"calibration.data: {path!r} is not an .npz file, which kind {kind} needs"
        ) from None
