"""Rows of the table of faults: arguments of the process, dtypes and positions of a model, and one that changes."""

import sys

import ml_dtypes
import numpy as np
from faults.fault import Fault, both
from faults.place import WEIGHTS
from safetensors.numpy import load_file, save_file

from jaxprune.runs import pipeline


def stdout_full(place):
    place.patch.setattr(sys, "stdout", open("/dev/full", "w"))  # noqa: SIM115
    return ["verify", place.whole_run()]


def mixed(place):
    """A model with one layer in float16 and one in bfloat16."""
    folder = place.model()
    tensors = load_file(folder / WEIGHTS)
    for name, value in tensors.items():
        for layer, dtype in ((".h.1.", np.float16), (".h.2.", ml_dtypes.bfloat16)):
            if layer in name:
                tensors[name] = value.astype(dtype)
    save_file(tensors, folder / WEIGHTS)
    return folder


def short_model(place):
    """A model with 20 positions."""
    folder = place.model("gpt2", n_positions=20)
    tensors = load_file(folder / WEIGHTS)
    name = next(name for name in tensors if "wpe" in name)
    tensors[name] = np.ascontiguousarray(tensors[name][:20])
    save_file(tensors, folder / WEIGHTS)
    return folder


def changing_tokenizer(place):
    """A model whose tokenizer gets a line more before its first block is pruned."""
    model, whole = place.model(), pipeline.prune_blocks

    def prune_blocks(*arguments, **how):
        with (model / "tokenizer.json").open("a") as out:
            out.write("\n")
        return whole(*arguments, **how)

    place.patch.setattr(pipeline, "prune_blocks", prune_blocks)
    return model


ROWS = {
    "the tokenizer changes after the calibration set was made": Fault(
        lambda p: p.prune(model=changing_tokenizer(p)),
        r"model/tokenizer\.json: changed while it was read",
    ),
    "stdout full": Fault(stdout_full, r".*No space left on device", 1),
    "workdir of a long name": Fault(
        lambda p: p.prune(workdir=p.folder / ("x" * 300)), r".*File name too long: .{300,500}$", 1
    ),
    "workdir is a link to nothing": Fault(
        lambda p: both(p.workdir.symlink_to("nothing"), p.prune()), r"--workdir: .* is a broken link;"
    ),
    "seed 2**32": Fault(
        lambda p: p.prune(f"seed={2**32}"), r"seed: got 4294967296; .*below 4294967296"
    ),
    "layers of two dtypes in one array": Fault(
        lambda p: p.prune("output.params=true", model=mixed(p)),
        r"output\.params: .* is bfloat16, float16, float32, .*params=false",
    ),
    "samples beyond the positions": Fault(
        lambda p: p.on_tokens(p.npz(input_ids=np.ones((4, 21), np.int32)), model=short_model(p)),
        r"samples of 21 tokens: the model has 20 positions",
    ),
}  # fmt: skip
