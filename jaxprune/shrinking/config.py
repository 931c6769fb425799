"""The config fields `shrink.*`."""

from collections.abc import Mapping
from typing import TypeAlias

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.schema import (
    config_record,
    fields_of,
    flag,
    integer,
    is_number,
    is_text,
    rule,
    several,
)
from jaxprune.data.languages import languages_field, numbers_by_language

_PLACES = "folders of <language>.txt or .jsonl, separated by commas, each with :FIRST-LAST for some lines only"


# The same share for all languages, or a share for each.
Coverage: TypeAlias = float | Mapping[str, float]


def _coverage(value: str | float) -> Coverage:
    text = str(value)
    coverage = numbers_by_language(text) if ":" in text else float(text)
    shares = coverage.values() if isinstance(coverage, dict) else [coverage]
    if not all(0 < share <= 1 for share in shares):
        raise ValueError
    return coverage


def coverage_text(coverage: Coverage) -> str:
    """The shares as in a config."""
    if isinstance(coverage, Mapping):
        return ",".join(f"{code}:{share:g}" for code, share in coverage.items())
    return f"{coverage:g}"


# Fields that have no effect without texts.
_TEXT_FIELDS = ("languages", "words", "expected", "heldout", "coverage", "tokens")


@config_record
class ShrinkFields:
    """The fields `shrink.*`."""

    vocabulary: tuple[str, ...] | None = several(
        _PLACES, ".+", meaning=f"texts whose tokens are kept: {_PLACES}"
    )
    languages: tuple[str, ...] | None = languages_field(
        "the languages to keep; not set: those of the first folder"
    )
    words: int | None = integer(
        None,
        1,
        "number of frequent words of each language whose tokens are kept too (needs wordfreq)",
    )
    expected: int | None = integer(
        None,
        1,
        "number of tokens of each language's texts, after which the model's probabilities of all tokens count for as "
        "much as the texts, so that tokens of other texts are kept too; with `coverage` or `tokens`",
    )
    heldout: tuple[str, ...] | None = several(
        _PLACES, ".+", meaning="other texts, on which the report shows the growth"
    )
    coverage: Coverage = rule(
        "a number c with 0 < c <= 1, or one for each language, as en:0.999,fr:0.99",
        lambda value: is_number(value) or is_text(value),
        "1",
        meaning="least share of each language's tokens to keep, or by language, as `en:0.999,fr:0.99`",
        parse=_coverage,
        write=coverage_text,
    )
    tokens: int | None = integer(None, 1, "number of tokens to keep, in place of `coverage`")
    multiple: int = integer(
        64, 1, "the vocabulary, and the neurons of a block, are filled up to a multiple of it"
    )
    layers: int | None = integer(
        None, 1, "number of layers to keep, those of the largest influence on the calibration set"
    )
    drop_layers: tuple[int, ...] | None = several(
        "distinct numbers of layers, such as 3,7",
        r"[0-9]{1,4}",
        kind=int,
        meaning="layers to drop, in place of `layers`",
    )
    mlp: float | None = rule(
        "a number c with 0 < c < 1",
        lambda value: is_number(value) and 0 < value < 1,
        kind=float,
        meaning="share of each block's neurons to keep, the most important on the calibration set",
    )
    one_by_one: bool = flag(True, "measure the layers again after each one that is dropped")

    def check_alternatives(self) -> None:
        """Rejects two fields that say the same in two ways; raises InputError."""
        if self.tokens is not None and self.coverage != ShrinkFields.coverage:
            raise InputError("shrink.tokens: set with shrink.coverage; set one of them")
        if self.expected is not None and self.tokens is None and self.coverage == 1:
            raise InputError(
                "shrink.expected: set without shrink.coverage below 1 or shrink.tokens; every token has a probability"
            )
        if self.drop_layers is not None and self.layers is not None:
            raise InputError("shrink.drop_layers: set with shrink.layers; set one of them")

    def check_without_texts(self, prefix: str, texts: str) -> None:
        """Rejects fields that have no effect without texts.

        Args:
          prefix: before the names of the fields, for messages.
          texts: the name of the texts.
        """
        for name, field in fields_of(self).items():
            value = field.text(getattr(self, name))
            if name in _TEXT_FIELDS and value != field.default:
                raise invalid_value(f"{prefix}{name}", value, f"only with {texts}")
