"""The settings of a request → checked settings of generation."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxprune.errors import InputError, listed, refusal
from jaxprune.schema import Field, check, flag, integer, is_int, is_number

# The harness's own default for requests that set none.
MAX_NEW_TOKENS = 256
# Names of the number of tokens to generate; the first one that is set counts.
_NEW_TOKENS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_NUMBER = Field("a number of at least 0", lambda value: is_number(value) and value >= 0)
# Options that a request may set, also to None. Options of sampling have no effect on greedy and beam search.
_SETTINGS: Mapping[str, Field] = {
    "until": Field(
        "a text or a list of texts",
        lambda value: (
            isinstance(value, str)
            or (isinstance(value, list | tuple) and all(isinstance(end, str) for end in value))
        ),
    ),
    **dict.fromkeys((*_NEW_TOKENS, "num_beams"), integer(1, 1)),
    "do_sample": flag(False),
    **dict.fromkeys(("temperature", "top_p", "top_k"), _NUMBER),
}
BATCH_SIZE = Field(
    "an integer of at least 1, or auto",
    lambda value: (
        (is_int(value) and value > 0)
        or (isinstance(value, str) and bool(re.fullmatch(r"auto(:[\d.]+)?|0*[1-9]\d{0,8}", value)))
    ),
)


class GenerationSettings(NamedTuple):
    """The generation options of a request."""

    until: tuple[str, ...]
    new_tokens: int
    beams: int


def read_settings(kwargs: object) -> GenerationSettings:
    """The settings of a request.

    Raises:
      InputError: sampling, an unknown setting, or a value of another kind.
    """
    if not isinstance(kwargs, Mapping):
        raise refusal("generation_kwargs", kwargs, "a dict")
    given = {name: value for name, value in kwargs.items() if value is not None}
    for name in _SETTINGS.keys() & given.keys():
        check(f"generation_kwargs: {name}", given[name], _SETTINGS[name])
    until = given.get("until", ())
    new_tokens = next((given[name] for name in _NEW_TOKENS if name in given), MAX_NEW_TOKENS)
    samples = given.get("do_sample", given.get("temperature", 0) > 0)
    unknown = given.keys() - _SETTINGS.keys()
    if samples or unknown:
        refused = listed(sorted(unknown, key=str)) or "sampling"
        raise InputError(
            f"generation_kwargs: got {refused}; allowed: until, {_NEW_TOKENS[0]}, num_beams, and do_sample=false"
        )
    ends = (until,) if isinstance(until, str) else tuple(until)
    return GenerationSettings(ends, new_tokens, given.get("num_beams", 1))


def cut_at(text: str, until: Sequence[str]) -> str:
    """The text before the first of `until`."""
    for end in filter(None, until):
        text = text.partition(end)[0]
    return text
