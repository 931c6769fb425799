"""The settings of a request → settings of generation."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxprune.base.errors import InputError, listed

# The harness's own default for requests that set none.
MAX_NEW_TOKENS = 256
# Names of the number of tokens to generate; the first one that is set counts.
_NEW_TOKENS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
# Options that a request may set, also to None. Options of sampling have no effect on greedy and beam search.
_SETTINGS = {*_NEW_TOKENS, "until", "num_beams", "do_sample", "temperature", "top_p", "top_k"}


class GenerationSettings(NamedTuple):
    """The generation options of a request."""

    until: tuple[str, ...]
    new_tokens: int
    beams: int


def read_settings(kwargs: Mapping[str, Any]) -> GenerationSettings:
    """The settings of a request.

    Raises:
      InputError: sampling, or an unknown setting.
    """
    given = {name: value for name, value in kwargs.items() if value is not None}
    until = given.get("until", ())
    new_tokens = next((given[name] for name in _NEW_TOKENS if name in given), MAX_NEW_TOKENS)
    samples = given.get("do_sample", given.get("temperature", 0) > 0)
    unknown = given.keys() - _SETTINGS
    if samples or unknown:
        refused = listed(sorted(unknown)) or "sampling"
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
