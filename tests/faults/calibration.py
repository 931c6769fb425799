"""Rows of the table of faults: calibration texts and tokens."""

import numpy as np
from faults.fault import IDS, Fault, both
from faults.place import halve, npy, zipped

from jaxprune.nano import CHECKPOINTS

TWO_LINES = "the dog\nthe cat\n"
NOT_PLAIN = r"tokens\.npz: damaged, or no \.npz of plain arrays"


def text(says, make, *fields):
    """Calibration text that does not do."""
    return Fault(lambda p: p.wanda(make(p), *fields), says)


def token_file(says, make, *fields):
    return Fault(lambda p: p.on_tokens(make(p), *fields), says)


ROWS = {
    "no such texts": text(r"calibration\.data: no folder '.*nothing'", lambda p: p.folder / "nothing"),
    "texts of nothing": text(r"calibration\.data: .*texts contains neither", lambda p: p.texts()),
    "texts of no network": Fault(
        lambda p: p.wanda("jaxprune-tests/is-in-no-cache"), r"is-in-no-cache: .*reached", 1
    ),
    "empty file": text(r"texts: fr has 2 lines and en has 0", lambda p: p.texts(fr=TWO_LINES, en="")),
    "only a BOM": text(r"0 lines", lambda p: p.texts(fr="\ufeff", en="\ufeff")),
    "misaligned": text(r"texts: fr has 2 lines and en has 1", lambda p: p.texts(fr=TWO_LINES, en="a\n")),
    "empty line": text(r"en\.txt:2: empty line", lambda p: p.texts(fr=TWO_LINES, en="a\n\n")),
    "not UTF-8": text(r"en\.txt:1: byte 2 is not", lambda p: p.texts(fr=TWO_LINES, en=b"a \xff\nb\n")),
    "a language that is not there": text(
        r"texts: no language 'sw'; there are en fr",
        lambda p: p.texts(fr=TWO_LINES, en=TWO_LINES), "calibration.source=sw",
    ),
    "a language of no name": text(r"source: got 'french'", lambda p: "nano", "calibration.source=french"),
    "source is target": text(r"target: got 'fr', the source", lambda p: "nano", "calibration.target=fr"),
    "too few sentences": text(
        r"texts: 2 lines make 2 samples of 1 shots, not 3",
        lambda p: p.texts(fr=TWO_LINES, en=TWO_LINES), "calibration.samples=3",
    ),
    "no code": Fault(
        lambda p: p.wanda(
            "nano", f"calibration.code={p.texts()}",
            "pruning.criterion=refined", "calibration.kind=translation_vs_code",
        ),
        r"texts: contains 0 Python files",
    ),
    "no tokenizer": Fault(
        lambda p: p.wanda("nano", model=p.without_tokenizer()), r"model: no tokenizer"
    ),
    "tokenizer no JSON": Fault(
        lambda p: p.wanda("nano", model=p.with_file("tokenizer.json", b"{")),
        r"model: no usable tokenizer",
    ),
    "tokenizer of too many ids": Fault(
        lambda p: p.wanda("nano", model=p.with_large_ids()),
        r"model: the tokenizer has id \d+, config\.json has vocab_size",
    ),
    "longer than the positions": Fault(
        lambda p: p.on_tokens(p.npz(input_ids=np.ones((2, 4096), np.int32)), model=CHECKPOINTS["gpt2"]),
        r"samples of 4096 tokens: the model has \d+ positions",
    ),
    "ids beyond the vocabulary": token_file(r"token id 99999; ", lambda p: p.npz(input_ids=IDS * 99999)),
    "negative ids": token_file(r"token id -\d+; ", lambda p: p.npz(input_ids=-IDS)),
    "ids that are floats": token_file(r"input_ids: got float64", lambda p: p.npz(input_ids=IDS * 0.5)),
    "ids of no rows": token_file(r"input_ids: got int32 of shape", lambda p: p.npz(input_ids=IDS[:0])),
    "mask of another shape": token_file(
        r"tokens\.npz: attention_mask: shape", lambda p: p.npz(input_ids=IDS, attention_mask=IDS[:1])
    ),
    "unknown arrays": token_file(r"tokens\.npz: contains ids", lambda p: p.npz(ids=IDS)),
    "no such tokens": token_file(r"calibration\.data: .*none\.npz", lambda p: p.folder / "none.npz"),
    "npz of objects": token_file(NOT_PLAIN, lambda p: p.npz_attack()),
    "npz cut": token_file(NOT_PLAIN, lambda p: both(halve(f := p.npz(input_ids=IDS)), f)),
    "npz of text": token_file(NOT_PLAIN, lambda p: p.file(b"text")),
    "npz with a negative shape": token_file(
        NOT_PLAIN, lambda p: p.file(zipped("input_ids.npy", npy((-4, 4))))
    ),
}  # fmt: skip
