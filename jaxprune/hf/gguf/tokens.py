"""The tokens of a tokenizer as GGUF has them, by id."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.base.errors import InputError, shown

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_SPACE = "\u2581"  # in place of spaces, in tokenizers with bytes for unknown characters


def token_list(rules: Mapping[str, Any], size: int) -> tuple[list[str], list[int]]:
    """The text and the type of each token, `gguf.TokenType`; ids without a token are unused.

    Args:
      rules: the content of tokenizer.json.
      size: number of rows of the embedding.
    """
    import gguf  # late: only GGUF files need it

    kinds = gguf.TokenType
    tokens, types = [f"[PAD{number}]" for number in range(size)], [int(kinds.UNUSED)] * size
    has_bytes = bool(rules["model"].get("byte_fallback"))
    for text, number in rules["model"]["vocab"].items():
        kind = kinds.BYTE if has_bytes and _BYTE.fullmatch(text) else kinds.NORMAL
        if text == rules["model"].get("unk_token"):
            kind = kinds.UNKNOWN
        tokens[number], types[number] = text, int(kind)
    for token in rules["added_tokens"]:
        text = token["content"]
        if not token["special"]:
            text = text.replace(_SPACE, " ")  # llama.cpp looks for it in the text as written
        kind = kinds.CONTROL if token["special"] else kinds.USER_DEFINED
        tokens[token["id"]], types[token["id"]] = text, int(kind)
    return tokens, types


def check_tokens(rules: Mapping[str, Any], tokens: Sequence[str], file: Path, folder: Path) -> None:
    """Rejects a file whose tokens are not those of a folder's tokenizer, id by id.

    Args:
      tokens: the tokens of the file.
      folder: the folder of the tokenizer.

    Raises:
      InputError: names the first token that differs.
    """
    own, types = token_list(rules, len(tokens))
    import gguf

    for number, (text, other, kind) in enumerate(zip(own, tokens, types, strict=True)):
        is_same = text.replace(_SPACE, " ") == other.replace(_SPACE, " ")
        if kind != gguf.TokenType.UNUSED and not is_same:
            raise InputError(
                f"{file}: token {number} is {shown(other)}, that of {folder} is {shown(text)}; "
                "expected the tokenizer of this file"
            )


def rules_of(tokenizer: Any, folder: Path) -> dict[str, Any]:
    """The content of tokenizer.json of an open tokenizer; InputError for one without."""
    if not tokenizer.is_fast:
        raise InputError(f"{folder}: no tokenizer.json; expected one, as GGUF files need it")
    rules: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return rules
