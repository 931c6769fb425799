"""Not a record of the package: what a process makes of the additions, in a copy of the package that has them.

    python noted.py WORKDIR MODEL [--coordinator HOST:PORT --processes N --process I]

Prunes once for each case and, where it is alone on one device, goes on to all that a user would do with the result.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
from recount import recount

import jaxprune as jp
from jaxprune.cli.config.validate import base_config, validate
from jaxprune.devices import hosts
from jaxprune.pruning import loop
from jaxprune.runs.pipeline import prune_from_config
from jaxprune.runs.pruned_model import pruned_model
from jaxprune.sweeps.run import sweep_from_config

CASES = {
    "statistic": {"pruning.criterion": "by_absolute"},
    "allocation": {"pruning.criterion": "rescaled", "pruning.allocation": "falling"},
    "combination": {
        "calibration.source": "fr,sw", "calibration.combine": "largest", "pruning.allocation": "languages",
    },
}  # fmt: skip
# Of models that are compared by what they answer.
ASKED = {"tasks": "nano_nli", "languages": "en", "rows": 4}


def job(model, case, **more):
    config = base_config()
    fields = {
        "model": model, "calibration.data": "nano", "calibration.samples": 8,
        "calibration.max_length": 48, "pruning.sparsity": 0.4,
    }  # fmt: skip
    config.update_from_flattened_dict(fields | CASES[case] | more)
    return config


class CrashError(Exception):
    """Stands for whatever ends a process."""


def crashed(config, workdir):
    """A run that ends within its third layer, and goes on."""
    whole, calls = loop.prune_kernels, iter(range(10**6))

    def prune_kernels(*arguments, **named):
        if next(calls) == 2:
            raise CrashError
        return whole(*arguments, **named)

    loop.prune_kernels = prune_kernels
    try:
        prune_from_config(config, workdir)
    except CrashError:
        pass
    finally:
        loop.prune_kernels = whole
    assert len([*(workdir / "progress").glob("layer_*.npz")]) == 2
    return prune_from_config(config, workdir)


def in_use(model, case, workdir):
    """What is measured of a finished run by those who use it."""
    dense = jp.load(model)
    overlaid, exported = pruned_model(dense, workdir), jp.load(workdir / "hf")
    same = jax.tree.map(np.array_equal, dict(overlaid.params), dict(exported.params))
    one, other = (
        jp.evaluate(m, **ASKED, progress=False).scored("nano_nli")["en"].scores
        for m in (overlaid, exported)
    )
    return {
        "faults": recount(workdir),
        "overlaid": all(jax.tree.leaves(same)),
        "evaluated": one.tobytes() == other.tobytes(),
        "card": (workdir / "hf" / "README.md").read_text(),
        "changes": "changed" in json.loads((workdir / "report.json").read_text())["digests"],
    }


def swept(model, workdir):
    """By method whether what a sweep evaluated is the model that it pruned."""
    fields = {f"evaluation.{name}": value for name, value in ASKED.items()}
    fields |= {"sweep.grid": "pruning.criterion=rescaled|by_absolute", "pruning.sparsity": 0.5}
    sweep_from_config(validate(job(model, "allocation", **fields), "sweep"), workdir)
    found = {}
    for checkpoint in workdir.glob("*/checkpoint"):
        variant = checkpoint.parent
        criterion = json.loads((variant / "config.json").read_text())["pruning"]["criterion"]
        scored = json.loads((variant / "nano_nli" / "evaluation.json").read_text())
        digest = pruned_model(jp.load(model), variant).source.fingerprint.digest
        found[criterion] = scored["model_sha256"] == digest
    return found


def main():
    workdir, model, *processes = sys.argv[1:]
    workdir = Path(workdir)
    if processes:
        hosts.join(processes[0], int(processes[1]), int(processes[2]))
    found, alone = {}, not processes and jax.device_count() == 1
    for case in CASES:
        config = validate(job(model, case))
        report = prune_from_config(config, workdir / case)
        found[case] = {"digests": report["digests"], "sparsity": report["sparsity"]["layers"]}
        if alone:
            again = crashed(config, workdir / f"{case}-crashed")
            found[case] |= in_use(model, case, workdir / case)
            found[case]["resumed"] = again["digests"] == report["digests"]
    if alone:
        found["sweep"] = swept(model, workdir / "sweep")
    if hosts.is_first():
        (workdir / "found.json").write_text(json.dumps(found))


main()
