"""Rows of the table of faults: calibration texts and tokens."""

import numpy as np
from ci_packages import needs
from faults.fault import IDS, Fault, both
from faults.place import npy, zipped

from jaxprune.nano import CHECKPOINTS

TWO_LINES = "the dog\nthe cat\n"
NOT_PLAIN = r"tokens\.npz: damaged, or no \.npz of plain arrays"


def text(says, make, *fields):
    """Calibration text that does not do."""
    return Fault(lambda p: p.wanda(make(p), *fields), says)


def token_file(says, make, *fields):
    return Fault(lambda p: p.on_tokens(make(p), *fields), says)


ROWS = {
    "texts of no network": Fault(
        lambda p: both(needs("datasets"), p.wanda("jaxprune-tests/is-in-no-cache")),
        r"is-in-no-cache: .*reached", 1,
    ),
    "misaligned": text(r"texts: fr has 2 lines and en has 1", lambda p: p.texts(fr=TWO_LINES, en="a\n")),
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
    "tokenizer no JSON": Fault(
        lambda p: p.wanda("nano", model=p.with_file("tokenizer.json", b"{")),
        r"model: no usable tokenizer",
    ),
    "longer than the positions": Fault(
        lambda p: p.on_tokens(p.npz(input_ids=np.ones((2, 4096), np.int32)), model=CHECKPOINTS["gpt2"]),
        r"samples of 4096 tokens: the model has \d+ positions",
    ),
    "ids beyond the vocabulary": token_file(r"token id 99999; ", lambda p: p.npz(input_ids=IDS * 99999)),
    "mask of another shape": token_file(
        r"tokens\.npz: attention_mask: shape", lambda p: p.npz(input_ids=IDS, attention_mask=IDS[:1])
    ),
    "npz of objects": token_file(NOT_PLAIN, lambda p: p.npz_attack()),
    "npz with a negative shape": token_file(
        NOT_PLAIN, lambda p: p.file(zipped("input_ids.npy", npy((-4, 4))))
    ),
}  # fmt: skip
