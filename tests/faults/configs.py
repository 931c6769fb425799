"""Rows of the table of faults: fields, flags and config files."""

import re

from faults.fault import IDS, Fault
from faults.place import ROOT


def config(group, value, says):
    return Fault(lambda p: p.prune(f"{group}={value}"), says)


def got(field, value):
    """Starts of the line: the field's name and the value as it was given."""
    return rf"{re.escape(field)}: got '?{re.escape(value)}'?; "


# For each field what it does not take: a number beyond its ends, another type, a name that is none.
WRONG = {
    "calibration.source": ["FR-fr", "xx"],
    "calibration.target": ["english"],
    "calibration.shots": ["4.5", "four"],
    "calibration.samples": ["0", "1e2"],
    "calibration.max_length": ["1", "long"],
    "pruning.pattern": ["2", "0:4", "2:4:8"],
    "pruning.threshold": ["column"],
    "pruning.budget": ["least"],
    "output.params": ["2"],
    "analysis.languages": ["fr;de", "fr,fr"],
    "analysis.top": ["all"],
    "analysis.neurons": ["-0.01", "few"],
    "evaluation.languages": ["fr,,de", "fr;de"],
    "evaluation.rows": ["many"],
    "evaluation.translation_rows": ["0"],
    "evaluation.weights": ["gpu"],
    "sweep.evaluate": ["some"],
    "mesh.data": ["0", "two"],
    "mesh.model": ["0"],
}

ROWS = {
    "sparsity 1": config("pruning.sparsity", 1, r"pruning\.sparsity: got 1\.0; .*0 <= s < 1"),
    "sparsity -0.1": config("pruning.sparsity", -0.1, r"pruning\.sparsity: got -0\.1"),
    "sparsity abc": config("pruning.sparsity", "abc", r"pruning\.sparsity: got 'abc'"),
    "sparsity nan": config("pruning.sparsity", "nan", r"pruning\.sparsity: got nan"),
    "pattern 3:2": config("pruning.pattern", "3:2", r"pruning\.pattern: got '3:2'; .*N:M"),
    "pattern 2:a": config("pruning.pattern", "2:a", r"pruning\.pattern: got '2:a'"),
    "criterion": config("pruning.criterion", "wandb", r"criterion: got 'wandb'.*mean wanda\?"),
    "propagate": config("pruning.propagate", "blok", r"propagate: got 'blok'.*mean block\?"),
    "kind": config("calibration.kind", "tokns", r"kind: got 'tokns'.*mean tokens\?"),
    "compat": config("compat", "paper", r"compat: got 'paper'; expected corrected, official"),
    "dtype": config("dtype", "float16", r"dtype: got 'float16'.*float32, bfloat16"),
    "seed": config("seed", -1, r"seed: got -1; expected an integer of at least 0"),
    "seed 1.5": config("seed", 1.5, r"seed: got '1\.5'; expected an integer"),
    "shots 0": config("calibration.shots", 0, r"calibration\.shots: got 0"),
    "output.hf": config("output.hf", "maybe", r"output\.hf: got 'maybe'; expected true or false"),
    "unknown field": config("pruning.sparsty", 0.3, r"sparsty: no such .*mean pruning\.sparsity\?"),
    "unknown group": config("prunning.sparsity", 0.3, r"did you mean pruning\.sparsity\?"),
    "a group as a field": config("pruning", 0.3, r"pruning: no such field; its fields are"),
    "mesh.data": config("mesh.data", 4096, r"mesh\.data=4096, mesh\.model=1: expected .* 1 to \d"),
    "mesh.model": config("mesh.model", 4096, r"mesh\.data=-1, mesh\.model=4096: expected"),
    "mesh.model -2": config("mesh.model", -2, r"mesh\.model: got -2; expected a number of devices"),
    "2:3 on a width of 128": config("pruning.pattern", "2:3", r"pattern: .*kernel.* multiple of 3"),
    "sparsity against pattern": Fault(
        lambda p: p.prune("pruning.pattern=2:4", "pruning.sparsity=0.3"),
        r"pruning\.sparsity: got 0\.3; expected 0\.5",
    ),
    "refined without code": Fault(
        lambda p: p.wanda(
            "nano", "pruning.criterion=refined", "calibration.kind=translation_vs_code"
        ),
        r"calibration\.code: not set",
    ),
    "refined on tokens without code": Fault(
        lambda p: p.on_tokens(p.npz(input_ids=IDS), "pruning.criterion=refined"),
        r"criterion refined needs a set with role 'code'",
    ),
    "unknown flag": Fault(lambda p: [*p.prune(), "--wrkdir=x"], r"wrkdir"),
    "an argument too many": Fault(lambda p: [*p.prune(), "extra"], r"extra: not a flag"),
    "no workdir": Fault(lambda p: p.prune()[:2], r"--workdir: missing"),
    "no config": Fault(lambda p: ["prune", f"--workdir={p.workdir}"], r"--config: missing"),
    "config of no file": Fault(
        lambda p: ["prune", f"--workdir={p.workdir}", "--config=configs/blom.py"],
        r"--config: no file 'configs/blom\.py'",
    ),
    "config argument": Fault(
        lambda p: ["prune", f"--workdir={p.workdir}", f"--config={ROOT}/configs/nano.py:blom"],
        r"config argument: got 'blom'.*did you mean bloom\?",
    ),
    **{
        f"{field}={value}": config(field, value, got(field, value))
        for field, values in WRONG.items() for value in values
    },
}  # fmt: skip
