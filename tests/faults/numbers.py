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


def copied(says, names, change):
    """One of which embedding and head are copied, and computed on nowhere."""
    return Fault(lambda p: p.prune(model=p.with_tensors(names, change)), says)


def scored(says, names, change, *fields):
    return Fault(
        lambda p: p.evaluate(
            p.task(GOOD_ROW),
            "evaluation.languages=en",
            *fields,
            model=p.with_tensors(names, change),
        ),
        says,
    )


def read(says, names, change, *fields):
    """A model of which perplexity or translations are asked."""
    return Fault(
        lambda p: p.evaluate(
            "evaluation.tasks=",
            "evaluation.languages=fr",
            *fields,
            model=p.with_tensors(names, change),
        ),
        says,
    )


NAN = one(np.nan)
PERPLEXITY = "evaluation.perplexity=nano"
TRANSLATION = (
    "evaluation.translation=nano", "evaluation.translation_rows=1", "calibration.data=nano",
    "calibration.shots=1",
)  # fmt: skip


def times(factor):
    return lambda tensor: tensor * factor


LARGE, TOO_LARGE, ROOT = times(1e25), times(1e15), times(3e9)
# Numbers, whose products are none.
OVERFLOW = r"h\.1\.(post_att|mlp)", TOO_LARGE

ROWS = {
    "NaN in a bias": pruned(r"layer 1, mlp/up/bias: contains NaN", r"h\.1\.mlp\.dense_h_to_4h\.bias", NAN),
    "infinity in the last bias": pruned(
        r"layer 3, mlp/out/bias: contains NaN", r"h\.3\.mlp\.dense_4h_to_h\.bias", one(-np.inf)
    ),
    "NaN in a norm": pruned(r"layer 0, .*norm/scale: contains NaN", r"h\.0\.input_layernorm\.weight", NAN),
    "NaN in embeddings": pruned(
        r"embed/tokens: contains NaN", r"word_embeddings\.weight", lambda tensor: np.nan
    ),
    "NaN in positions": pruned(r"embed/positions: contains NaN", r"wpe\.weight", NAN, "gpt2"),
    "NaN in a copied embedding": copied(r"embed/tokens: contains NaN", r"word_embeddings\.weight", NAN),
    "NaN in a copied norm": copied(r"head/norm/bias: contains NaN", r"ln_f\.bias", NAN),
    "NaN in the final norm, scored": scored(r"head/norm/scale: contains NaN", r"ln_f\.weight", NAN),
    "NaN in a row of the vocabulary, scored": scored(
        r"embed/tokens: contains NaN", r"word_embeddings\.weight", NAN
    ),
    "NaN in a bias, streamed": scored(
        r"layer 3, mlp/out/bias: contains NaN", r"h\.3\.mlp\.dense_4h_to_h\.bias", NAN,
        "evaluation.weights=streamed",
    ),
    "NaN in a bias, perplexity": read(
        r"layer 3, mlp/out/bias: contains NaN", r"h\.3\.mlp\.dense_4h_to_h\.bias", NAN, PERPLEXITY
    ),
    "NaN in a bias, translation": read(
        r"layer 3, mlp/out/bias: contains NaN", r"h\.3\.mlp\.dense_4h_to_h\.bias", NAN, *TRANSLATION
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
    "embeddings that overflow, scored": scored(
        r"embed/tokens: contains values of 7e\+16 or more", r"word_embeddings\.weight", LARGE
    ),
    "overflow, scored": scored(r"en: row 0 has the score nan", *OVERFLOW),
    "overflow, perplexity": read(r"perplexity fr: the model returns NaN", *OVERFLOW, PERPLEXITY),
    "overflow, translated": read(
        r"translate fr-en: after prompt 0 the logits are NaN", *OVERFLOW, *TRANSLATION
    ),
    "a site of zeros": pruned(
        r"layer 2, site qkv: no activation differs from 0", r"h\.2\.input_layernorm", lambda tensor: 0
    ),
    "squares that vanish": pruned(
        r"layer 2, site mlp_in: no activation differs from 0", r"h\.2\.post_attention_layernorm",
        lambda tensor: tensor * 1e-30,
    ),
}  # fmt: skip
