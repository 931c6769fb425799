"""A tokenizer.json and the tokens to keep → a smaller tokenizer.json that splits texts of kept tokens as before.

BPE merges the pair of lowest rank first. So it makes a token by the same merges wherever the token ends up in a text,
and the smaller tokenizer needs the results of exactly these merges. Unigram takes the best path of pieces; a path of
kept pieces remains the best one.
"""

import copy
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jaxprune.base.errors import invalid_value

FILE = "tokenizer.json"
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
# White space, also as byte-level BPE and Unigram write it.
_SPACES = re.compile(r"[\s▁ĠĊĉč]+")
# Special tokens that a model reserves and does not use, as in Gemma, Llama 3 and XGLM.
_UNUSED = re.compile(r"unused|reserved|madeupword", re.IGNORECASE)

# A token → it and the tokens that are merged on the way to it.
Parts = Callable[[int], set[int]]


def check_kind(rules: Mapping[str, Any]) -> None:
    """Rejects tokenizers whose splits a smaller vocabulary could change; raises InputError."""
    model = rules["model"]
    if model.get("type") not in ("BPE", "Unigram"):
        raise invalid_value(f"{FILE}: model.type", model.get("type"), ("BPE", "Unigram"))
    for name in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        if model.get(name):
            raise invalid_value(f"{FILE}: model.{name}", model[name], "none")
    for processor in _processors(rules.get("post_processor")):
        if processor["type"] not in _RENUMBERED:
            raise invalid_value(f"{FILE}: post_processor.type", processor["type"], _RENUMBERED)


def fillers(rules: Mapping[str, Any]) -> list[int]:
    """The ids of all tokens but reserved ones, ascending: BPE numbers its tokens by the ranks of their merges."""
    reserved = {token["id"] for token in rules["added_tokens"] if _is_reserved(token)}
    return sorted({*_pieces(rules).values()} - reserved)


def _is_reserved(token: Mapping[str, Any]) -> bool:
    return token["special"] and _UNUSED.search(token["content"]) is not None


def _pieces(rules: Mapping[str, Any]) -> dict[str, int]:
    """The id of every token that the rules can make, without tokens that are only added."""
    vocab = rules["model"]["vocab"]
    return dict(vocab) if isinstance(vocab, dict) else {p: i for i, (p, _) in enumerate(vocab)}


def always_kept(rules: Mapping[str, Any]) -> set[int]:
    """Byte tokens, white space, the unknown token, tokens that begin and end texts, special ones that are not reserved.

    For Unigram also the piece with the lowest score, from which the penalty of unknown characters is computed.
    """
    model, pieces = rules["model"], _pieces(rules)
    kept = {i for piece, i in pieces.items() if _BYTE.fullmatch(piece) or _SPACES.fullmatch(piece)}
    if "ByteLevel" in json.dumps([rules.get("normalizer"), rules.get("pre_tokenizer")]):
        kept |= {i for piece, i in pieces.items() if len(piece) == 1}
    if model["type"] == "Unigram":
        lowest = min(range(len(model["vocab"])), key=lambda i: model["vocab"][i][1])
        kept |= {lowest} | ({model["unk_id"]} if model.get("unk_id") is not None else set())
    elif model.get("unk_token") in pieces:
        kept.add(pieces[model["unk_token"]])
    for token in rules["added_tokens"]:
        is_special = token["special"] and not _is_reserved(token)
        if is_special or token["content"].isspace():
            kept.add(token["id"])
    return kept | {ids[i] for ids, i in _places(rules.get("post_processor"))}


def parts_of(rules: Mapping[str, Any]) -> Parts:
    """The tokens that a kept token requires, itself among them."""
    if rules["model"]["type"] == "Unigram":
        return lambda token: {token}
    pieces = _pieces(rules)
    names = {i: piece for piece, i in pieces.items()}
    ranks = {pair: rank for rank, pair in enumerate(_merges(rules))}

    def parts(token: int) -> set[int]:
        if token not in names:
            return {token}
        return {token} | {pieces[made] for made in _derived(names[token], ranks) if made in pieces}

    return parts


def _merges(rules: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs in the order of their ranks."""
    return [(left, right) for left, right in rules["model"]["merges"]]


def _derived(token: str, ranks: Mapping[tuple[str, str], int]) -> set[str]:
    """The symbols from the characters to a token; none if BPE cannot make it, as if it is only added."""
    parts = list(token)
    made = set(parts)
    while len(parts) > 1:
        candidates = [
            (ranks[pair], place)
            for place, pair in enumerate(itertools.pairwise(parts))
            if pair in ranks
        ]
        if not candidates:
            return set()
        _, place = min(candidates)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
        made.add(parts[place])
    return made


def trimmed(rules: Mapping[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """The rules with the kept tokens alone, in their order.

    Args:
      kept: ids, ascending, with all their parts; the new id of each is its place.
    """
    smaller = copy.deepcopy(dict(rules))
    new = {old: place for place, old in enumerate(kept)}
    model, pieces = smaller["model"], _pieces(rules)
    if model["type"] == "BPE":
        model["vocab"] = {piece: new[i] for piece, i in pieces.items() if i in new}
        model["merges"] = [
            [left, right]
            for left, right in _merges(rules)
            if {left, right, left + right} <= model["vocab"].keys()
        ]
    else:
        model["vocab"] = [model["vocab"][i] for i in kept if i < len(pieces)]
        if model.get("unk_id") is not None:
            model["unk_id"] = new[model["unk_id"]]
    smaller["added_tokens"] = [
        {**token, "id": new[token["id"]]} for token in rules["added_tokens"] if token["id"] in new
    ]
    for ids, i in _places(smaller.get("post_processor")):
        ids[i] = new[ids[i]]
    return smaller | {"truncation": None, "padding": None}  # state of the last call


# Types of post-processors: without ids, or with ids in known places.
_RENUMBERED = ("TemplateProcessing", "RobertaProcessing", "BertProcessing", "ByteLevel")


def _processors(processor: Any) -> list[dict[str, Any]]:
    if processor is None:
        return []
    return processor["processors"] if processor["type"] == "Sequence" else [processor]


def _places(processor: Any) -> Iterator[tuple[list[Any], int]]:
    """The list and the index of each id."""
    for step in _processors(processor):
        if step["type"] == "TemplateProcessing":
            for token in step["special_tokens"].values():
                yield from ((token["ids"], i) for i in range(len(token["ids"])))
        yield from ((step[name], 1) for name in ("sep", "cls") if name in step)
