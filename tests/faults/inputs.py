"""Rows of the table of faults: fields, flags, texts, tokens, tasks, and a model whose layers have several dtypes."""

import ml_dtypes
import numpy as np
from faults.fault import Fault, both
from faults.place import GOOD_ROW, WEIGHTS
from safetensors.numpy import load_file, save_file


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


ROWS = {
    "unknown field": Fault(
        lambda p: p.prune("pruning.sparsty=0.3"), r"sparsty: no such .*mean pruning\.sparsity\?"
    ),
    "no workdir": Fault(lambda p: p.prune()[:2], r"--workdir: missing"),
    "workdir is a link to nothing": Fault(
        lambda p: both(p.workdir.symlink_to("nothing"), p.prune()), r"--workdir: .* is a broken link;"
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
    "npz of objects": Fault(
        lambda p: p.on_tokens(p.npz_attack()), r"tokens\.npz: damaged, or no \.npz of plain arrays"
    ),
    "layers of two dtypes in one array": Fault(
        lambda p: p.prune("output.params=true", model=mixed(p)),
        r"output\.params: .* is bfloat16, float16, float32, .*params=false",
    ),
    "broken row": Fault(
        lambda p: p.evaluate(p.task(GOOD_ROW, "{\n"), "evaluation.languages=en"),
        r"en\.jsonl:2: not JSON",
    ),
    "translation of no texts": Fault(
        lambda p: p.evaluate(
            "evaluation.tasks=", f"evaluation.translation={p.folder / 'nothing'}", "calibration.data=nano"
        ),
        r"evaluation\.translation: no folder '.*nothing'",
    ),
}  # fmt: skip
