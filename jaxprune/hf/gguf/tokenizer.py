"""A model's tokenizer → the fields of GGUF with which llama.cpp splits texts in the same way."""

import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

from jaxprune.base.errors import InputError, shown
from jaxprune.hf.gguf.tokens import rules_of, token_list
from jaxprune.hf.model import Model

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


def check_tokenizer(model: Model) -> None:
    """Rejects a tokenizer that llama.cpp does not have; raises InputError."""
    if model.has_tokenizer:
        _kind_of(rules_of(model.tokenizer, model.folder), model.folder)


def write_tokenizer(writer: Any, model: Model) -> None:
    """Adds the tokenizer of a model to a `gguf.GGUFWriter`; a model without one gets none.

    Raises:
      InputError: a tokenizer that llama.cpp does not have.
    """
    import gguf  # late: only quantization needs it

    if not model.has_tokenizer:
        writer.add_tokenizer_model("none")
        return
    rules = rules_of(model.tokenizer, model.folder)
    kind = _kind_of(rules, model.folder)
    tokens, types = token_list(rules, model.config.vocab_size)
    writer.add_tokenizer_model(kind.model)
    writer.add_tokenizer_pre(kind.pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if kind.model != "gpt2":
        writer.add_token_scores(_scores(rules, tokens))
        writer.add_add_space_prefix(_has_prefix(rules))
    logging.getLogger("gguf.vocab").setLevel(logging.ERROR)  # it warns of what it does not need
    special = gguf.SpecialVocab(model.folder, load_merges=False, n_vocab=len(tokens))
    special.merges = _merges(rules) if kind.model != "llama" else []
    ids = model.tokenizer.backend_tokenizer.encode("a").ids
    first = special.special_token_ids.get("bos")
    special.add_special_token = {**special.add_special_token, "bos": bool(ids) and ids[0] == first}
    special.add_to_gguf(writer, quiet=True)


def split_warning(model: Model) -> str | None:
    """A sentence if llama.cpp splits the first word of a text in another way; None otherwise."""
    if not model.has_tokenizer:
        return None
    before = rules_of(model.tokenizer, model.folder)["pre_tokenizer"] or {}
    if '"add_prefix_space": true' not in json.dumps(before):
        return None
    return (
        "The tokenizer puts a space before a text, which llama.cpp does not: begin texts with one."
    )


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
    return (
        '"Prepend"' in text
        or '"prepend_scheme": "always"' in text
        or '"prepend_scheme": "first"' in text
    )


def _merges(rules: dict[str, Any]) -> list[str]:
    """The merges as pairs of tokens, a space between them; spaces inside tokens as in byte-level vocabularies."""
    pairs = (
        merge if isinstance(merge, list) else merge.split(" ") for merge in rules["model"]["merges"]
    )
    return [" ".join(part.replace(" ", "\u0120") for part in pair) for pair in pairs]


def _scores(rules: dict[str, Any], tokens: list[str]) -> list[float]:
    """Scores in whose order llama.cpp merges: earlier merges are higher."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(rules["model"]["merges"]):
        pair = merge if isinstance(merge, list) else merge.split(" ")
        ranks.setdefault("".join(pair), rank)
    lowest = -float(len(ranks))
    return [-float(ranks[token]) if token in ranks else lowest for token in tokens]
