"""A model and texts → counts of tokens, the tokens that are always kept, and the files of the smaller tokenizer."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jinja2 import TemplateError

from jaxprune.base.errors import InputError
from jaxprune.base.files.outside import read_json
from jaxprune.hf.model import Model
from jaxprune.hf.subset import subset
from jaxprune.shrinking import token_ids, tokenizer_rules

# Files of a tokenizer that transformers does not read if there is a tokenizer.json.
_VOCABULARY_FILES = ("vocab.*", "merges.txt", "*.model")
# Texts that are split at a time, and lines of a joined one.
_AT_ONCE, _JOINED = 10_000, 1000
# Rows of a table that are compared at a time.
_ROWS = 8192


def rules_of(model: Model) -> dict[str, Any]:
    """The content of a tokenizer.json of the model's tokenizer, as transformers uses it.

    Raises:
      InputError: no tokenizer, or one of another kind than BPE and Unigram.
    """
    tokenizer = model.tokenizer
    if not tokenizer.is_fast:
        raise InputError(
            f"{model.folder}: its tokenizer has no {tokenizer_rules.FILE}; expected one that "
            "transformers reads as a fast tokenizer"
        )
    rules: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    tokenizer_rules.check_kind(rules)
    return rules


def split(model: Model, texts: Sequence[str]) -> Iterator[list[int]]:
    """The ids of each text, without tokens that begin and end it."""
    backend = model.tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    for start in range(0, len(texts), _AT_ONCE):
        part = [*texts[start : start + _AT_ONCE]]
        encodings = backend.encode_batch(part, add_special_tokens=False)
        yield from (encoding.ids for encoding in encodings)


def token_counts(model: Model, texts: Mapping[str, Sequence[str]]) -> dict[str, Counter[int]]:
    """The number of occurrences of each token in the texts of each language."""
    return {
        code: Counter(token for ids in split(model, language_texts) for token in ids)
        for code, language_texts in texts.items()
    }


def tokens_of_line_breaks(
    model: Model, texts: Mapping[str, Sequence[str]], counts: Mapping[str, Counter[int]]
) -> set[int]:
    """The tokens that texts have only where line breaks join them, such as a full stop with the break after it.

    Args:
      counts: token counts of the single texts, by language.
    """
    joined = [
        between.join(language_texts[start : start + _JOINED])
        for language_texts in texts.values()
        for start in range(0, len(language_texts), _JOINED)
        for between in ("\n", "\n\n")
    ]
    return set[int]().union(*split(model, joined)).difference(*counts.values())


def required_tokens(model: Model, rules: Mapping[str, Any]) -> set[int]:
    """The ids that are always kept: of the rules, of configs, of special tokens and of the chat template."""
    tokenizer = model.tokenizer
    kept = tokenizer_rules.always_kept(rules) | {*tokenizer.all_special_ids}
    for name in token_ids.CONFIGS:
        ids = token_ids.ids_in(read_json(model.folder / name))
        kept |= {i for i in ids if i < model.config.vocab_size}
    template = json.dumps(tokenizer.chat_template, ensure_ascii=False)
    kept |= {
        token["id"]
        for token in rules["added_tokens"]
        if token["content"].strip() and token["content"] in template
    }
    return kept.union(*split(model, [*_chats(tokenizer)]))


def _chats(tokenizer: Any) -> Iterator[str]:
    """Short chats in the tokenizer's template, with a system's turn if it allows one."""
    if not tokenizer.chat_template:
        return
    turns = [{"role": role, "content": "."} for role in ("system", "user", "assistant", "user")]
    for chat in (turns, turns[1:]):
        with contextlib.suppress(TemplateError):
            yield tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)


def tokenizer_files(
    model: Model, rules: Mapping[str, Any], tokens: np.ndarray
) -> dict[str, dict[str, Any] | None]:
    """The new content of the tokenizer's JSON files; None for files that only have the old vocabulary.

    Args:
      tokens: ids to keep, ascending, with the tokens that they are merged from.
    """
    kept = tokens.tolist()
    new = {old: place for place, old in enumerate(kept)}
    old_files = [file for pattern in _VOCABULARY_FILES for file in model.folder.glob(pattern)]
    files: dict[str, dict[str, Any] | None] = {file.name: None for file in old_files}
    files[tokenizer_rules.FILE] = tokenizer_rules.trimmed(rules, kept)
    if raw := read_json(model.folder / token_ids.TOKENIZER_CONFIG):
        if decoder := raw.get("added_tokens_decoder"):
            raw["added_tokens_decoder"] = {
                str(new[int(i)]): token for i, token in decoder.items() if int(i) in new
            }
        files[token_ids.TOKENIZER_CONFIG] = raw
    if raw := read_json(model.folder / token_ids.ADDED):
        files[token_ids.ADDED] = {token: new[i] for token, i in raw.items() if i in new}
    return files


def teacher_of(model: Model, smaller: Model) -> Model:
    """The dense model with the tokens of a smaller one alone, whose predictions the smaller one can learn.

    Raises:
      InputError: a row of the smaller model's embedding is not that of its token in the dense model.
    """
    size = smaller.config.vocab_size
    old = np.arange(size)
    if size != model.config.vocab_size:
        ids = model.tokenizer.get_vocab()
        names = {i: name for name, i in smaller.tokenizer.get_vocab().items()}
        old = np.array([ids.get(names.get(i, ""), -1) for i in range(size)])
    teacher = subset(model, tokens=old)
    for start in range(0, size, _ROWS):
        rows = np.arange(start, min(start + _ROWS, size))
        if old[rows].min() < 0 or not np.array_equal(
            teacher.source.head_rows(rows), smaller.source.head_rows(rows)
        ):
            raise InputError(
                f"{smaller.folder}: not a smaller model of {model.folder}; its tokens have other parameters"
            )
    return teacher
