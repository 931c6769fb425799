"""Ids of tokens in the JSON files beside a model's weights → ids that must be kept; the files with new ids."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jaxprune.base.errors import invalid_value

CONFIGS = ("config.json", "generation_config.json")
TOKENIZER_CONFIG, ADDED = "tokenizer_config.json", "added_tokens.json"
_TOKEN = re.compile(r"\w+_token_(id|ids|index)")
# Keys of generation_config.json whose tokens are only forbidden, so that they may be dropped.
_FORBIDDEN = ("suppress_tokens", "begin_suppress_tokens")
_UNREAD = ("bad_words_ids", "forced_decoder_ids", "sequence_bias")


def ids_in(raw: Mapping[str, Any]) -> Iterator[int]:
    """The ids that a config requires, such as `eos_token_id`, also in parts such as `text_config`."""
    for name, value in raw.items():
        if isinstance(value, dict):
            yield from ids_in(value)
        elif _TOKEN.fullmatch(name):
            yield from (i for i in _as_list(value) if isinstance(i, int) and i >= 0)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def with_new_ids(name: str, raw: Mapping[str, Any], new: Mapping[int, int]) -> dict[str, Any]:
    """A config with the ids of the smaller vocabulary.

    Args:
      name: name of the file.
      new: old id → new id. Ids beyond the old vocabulary remain.

    Raises:
      InputError: a key with ids in another form.
    """

    def renumbered(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return with_new_ids(name, value, new)
        if key in _UNREAD and value is not None:
            raise invalid_value(f"{name}: {key}", value, "none")
        if key in _FORBIDDEN:
            return value and [new[i] for i in value if i in new]
        if _TOKEN.fullmatch(key):
            return (
                [new.get(i, i) for i in value] if isinstance(value, list) else new.get(value, value)
            )
        return value

    return {key: renumbered(key, value) for key, value in raw.items()}
