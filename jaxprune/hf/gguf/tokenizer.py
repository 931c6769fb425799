"""A model's tokenizer → the fields of GGUF with which llama.cpp splits texts in the same way."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from jaxprune.base.errors import InputError, shown
from jaxprune.hf.model import Model

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_SPACE = "\u2581"  # in place of spaces in tokens with bytes for unknown characters
# A part of the pre-tokenizer's regular expression → llama.cpp's name of these rules; the first match counts.
_RULES = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ": "qwen2",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}": "llama-bpe",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?": "tekken",
    r" ?[^(\s|[.,!?…。，、।۔،])]+": "bloom",
}


class _Kind(NamedTuple):
    """llama.cpp's kind of a tokenizer: its algorithm, and its rules before it."""

    model: str
    pre: str


def write_tokenizer(writer: Any, model: Model) -> None:
    """Adds the tokenizer of a model to a `gguf.GGUFWriter`; a model without one gets none.

    Raises:
      InputError: a tokenizer that llama.cpp does not have.
    """
    import gguf  # late: only quantization needs it

    if not model.has_tokenizer:
        writer.add_tokenizer_model("none")
        return
    rules = json.loads(_fast(model).to_str())
    kind = _kind_of(rules, model.folder)
    vocabulary = gguf.TokenType
    added = {token["id"]: token for token in rules["added_tokens"]}
    tokens = [f"[PAD{number}]" for number in range(model.config.vocab_size)]
    types = [int(vocabulary.UNUSED)] * len(tokens)
    for text, number in rules["model"]["vocab"].items():
        tokens[number] = text
        types[number] = int(vocabulary.NORMAL)
        if kind.model != "gpt2" and _BYTE.fullmatch(text):
            types[number] = int(vocabulary.BYTE)
        if text == rules["model"].get("unk_token"):
            types[number] = int(vocabulary.UNKNOWN)
    for number, token in added.items():
        special = token["special"]
        # users' tokens are matched in the text as written
        tokens[number] = token["content"] if special else token["content"].replace(_SPACE, " ")
        types[number] = int(vocabulary.CONTROL if special else vocabulary.USER_DEFINED)
    writer.add_tokenizer_model(kind.model)
    writer.add_tokenizer_pre(kind.pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if kind.model != "gpt2":
        writer.add_token_scores(_scores(rules, tokens))
        writer.add_add_space_prefix(_has_prefix(rules))
    special = gguf.SpecialVocab(model.folder, load_merges=False, n_vocab=len(tokens))
    special.merges = _merges(rules) if kind.model != "llama" else []
    ids = _fast(model).encode("a").ids
    first = special.special_token_ids.get("bos")
    special.add_special_token = {**special.add_special_token, "bos": bool(ids) and ids[0] == first}
    special.add_to_gguf(writer, quiet=True)


def _fast(model: Model) -> Any:
    tokenizer = model.tokenizer
    if not tokenizer.is_fast:
        raise InputError(f"{model.folder}: no tokenizer.json; expected one, which model.gguf needs")
    return tokenizer.backend_tokenizer


def _kind_of(rules: dict[str, Any], folder: Path) -> _Kind:
    """The kind of a tokenizer, by its own rules: a smaller vocabulary has the rules of the whole one."""
    if rules["model"]["type"] == "BPE":
        before = json.dumps(rules["pre_tokenizer"] or {}, ensure_ascii=False)
        if rules["model"].get("byte_fallback"):
            has_prefix = _has_prefix(rules)
            return _Kind("llama", "default") if has_prefix else _Kind("gemma4", "gemma4")
        pattern = json.loads(before)
        for part, name in _RULES.items():
            if json.dumps(part, ensure_ascii=False)[1:-1] in before:
                return _Kind("gpt2", name)
        if '"Split"' not in before and '"ByteLevel"' in before:
            return _Kind("gpt2", "smollm" if '"Digits"' in before else "gpt-2")
        raise InputError(
            f"{folder}: tokenizer.json: llama.cpp has no tokenizer with pre_tokenizer {shown(pattern)}"
        )
    raise InputError(
        f"{folder}: tokenizer.json: llama.cpp has no {rules['model']['type']} tokenizer like this; expected BPE"
    )


def _has_prefix(rules: dict[str, Any]) -> bool:
    """Whether a space is put before a text."""
    text = json.dumps([rules["normalizer"], rules["pre_tokenizer"]])
    return '"Prepend"' in text or '"prepend_scheme": "always"' in text or '"prepend_scheme": "first"' in text


def _merges(rules: dict[str, Any]) -> list[str]:
    """The merges as pairs of tokens, a space between them; spaces inside tokens as in byte-level vocabularies."""
    pairs = (merge if isinstance(merge, list) else merge.split(" ") for merge in rules["model"]["merges"])
    return [" ".join(part.replace(" ", "\u0120") for part in pair) for pair in pairs]


def _scores(rules: dict[str, Any], tokens: list[str]) -> list[float]:
    """Scores in whose order llama.cpp merges: earlier merges are higher."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(rules["model"]["merges"]):
        pair = merge if isinstance(merge, list) else merge.split(" ")
        ranks.setdefault("".join(pair), rank)
    lowest = -float(len(ranks))
    return [-float(ranks[token]) if token in ranks else lowest for token in tokens]
