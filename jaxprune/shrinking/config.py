"""The config fields `shrink.*`."""

from jaxprune.calibration import languages_field
from jaxprune.schema import config_record, integer, is_number, rule, text

_PLACES = "folders of <language>.txt or .jsonl, separated by commas, each with :FIRST-LAST for some lines only"


@config_record
class ShrinkFields:
    """The fields `shrink.*`."""

    vocabulary: str | None = text(None, _PLACES, f"texts whose tokens are kept: {_PLACES}")
    languages: str | None = languages_field(
        "the languages to keep; not set: those of the first folder"
    )
    heldout: str | None = text(None, _PLACES, "other texts, on which the report shows the growth")
    coverage: float = rule(
        "a number c with 0 < c <= 1",
        lambda value: is_number(value) and 0 < value <= 1,
        1.0,
        kind=float,
        meaning="least share of each language's tokens to keep",
    )
    tokens: int | None = integer(None, 1, "number of tokens to keep, in place of `coverage`")
    multiple: int = integer(64, 1, "the vocabulary is filled up to a multiple of it")
