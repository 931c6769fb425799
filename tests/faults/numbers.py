"""Rows of the table of faults: numbers that are none, in any tensor that is read and in what is computed."""

import numpy as np
from faults.fault import Fault
from faults.place import GOOD_ROW

FEW = np.arange(8, dtype=np.int32).reshape(1, 8)


def one(value):
    """The last number of a tensor becomes this."""

    def change(tensor):
        tensor = tensor.copy()
        tensor[-1] = value
        return tensor

    return change


def pruned(says, names, change, model="bloom"):
    """A model that is pruned on a few tokens."""
    return Fault(
        lambda p: p.on_tokens(p.npz(input_ids=FEW), model=p.with_tensors(names, change, model)),
        says,
    )


def scored(says, names, change, *fields):
    """A model that is asked a task, or what fields say."""

    def command(place):
        asked = fields or (place.task(GOOD_ROW), "evaluation.languages=en")
        return place.evaluate(*asked, model=place.with_tensors(names, change))

    return Fault(command, says)


NAN = one(np.nan)
FRENCH = "evaluation.tasks=", "evaluation.languages=fr"
PERPLEXITY = *FRENCH, "evaluation.perplexity=nano"
TRANSLATION = (
    *FRENCH, "evaluation.translation=nano", "evaluation.translation_rows=1", "calibration.data=nano",
    "calibration.shots=1",
)  # fmt: skip


def times(factor):
    return lambda tensor: tensor * factor


LARGE, TOO_LARGE, ROOT = times(1e25), times(1e15), times(3e9)
# Numbers, whose products are none.
OVERFLOW = r"h\.1\.(post_att|mlp)", TOO_LARGE

ROWS = {
    "NaN in a bias": pruned(r"layer 1, mlp/up/bias: contains NaN", r"h\.1\.mlp\.dense_h_to_4h\.bias", NAN),
    "NaN in an embedding that is copied, and computed on nowhere": Fault(
        lambda p: p.prune(model=p.with_tensors(r"word_embeddings\.weight", NAN)), r"embed/tokens: contains NaN"
    ),
    "NaN in the final norm, scored": scored(r"head/norm/scale: contains NaN", r"ln_f\.weight", NAN),
    "NaN in a bias, streamed": scored(
        r"layer 3, mlp/out/bias: contains NaN", r"h\.3\.mlp\.dense_4h_to_h\.bias", NAN,
        *PERPLEXITY, "evaluation.weights=streamed",
    ),
    "embeddings that overflow": pruned(
        r"embed/tokens: contains values of 7e\+16 or more", r"word_embeddings\.weight", LARGE
    ),
    "a block that overflows": pruned(
        r"layer 1, site mlp_out: an activation is not finite", r"h\.1\.(post_att|mlp)", TOO_LARGE
    ),
    "a residual that overflows": pruned(
        r"layer 2, site qkv: an activation is not finite", r"h\.1\.mlp\.dense_(4h_to_h\.weight|h_to_4h)", ROOT
    ),
    "overflow, scored": scored(r"en: row 0 has the score nan", *OVERFLOW),
    "overflow, perplexity": scored(r"perplexity fr: the model returns NaN", *OVERFLOW, *PERPLEXITY),
    "overflow, translated": scored(
        r"translate fr-en: after prompt 0 the logits are NaN", *OVERFLOW, *TRANSLATION
    ),
    "a site of zeros": pruned(
        r"layer 2, site qkv: no activation differs from 0", r"h\.2\.input_layernorm", lambda tensor: 0
    ),
}  # fmt: skip
