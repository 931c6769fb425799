"""Not a record of the package: what a process makes of the additions, in a copy of the package that has them.

    python noted.py WORKDIR MODEL [--coordinator HOST:PORT --processes N --process I]

Prunes once for each case and, where it is alone on one device, goes on to all that a user would do with the result.
"""

import contextlib
import json
import sys
from pathlib import Path

import jax
import jobs
import numpy as np
from kills import Killed, killed_after
from recount import recount

import jaxprune as jp
from jaxprune.devices import hosts
from jaxprune.pages.job import run_from_config
from jaxprune.pruning import loop
from jaxprune.search.sweeps.run import sweep_from_config
from jaxprune.steps.finished_run import pruned_model

CASES = {
    "statistic": {"pruning.criterion": "by_absolute"},
    "allocation": {"pruning.criterion": "rescaled", "pruning.allocation": "falling"},
    "combination": {
        "calibration.source": "fr,sw", "calibration.combine": "largest", "pruning.allocation": "owl",
        "pruning.criterion": "scratch",
    },
}  # fmt: skip
# Of models that are compared by what they answer.
ASKED = {"tasks": "nano_nli", "languages": "en", "rows": 4}


def job(model, case, command="prune", **more):
    fields = {
        "calibration.data": "nano", "calibration.samples": 8, "calibration.max_length": 48,
        "pruning.sparsity": 0.4,
    }  # fmt: skip
    return jobs.job(model, command, **fields | CASES[case] | more)


def crashed(config, workdir):
    """A run that ends within its third layer, and goes on."""
    whole = loop.prune_kernels
    loop.prune_kernels = killed_after(iter(range(2)), whole)
    with contextlib.suppress(Killed):
        run_from_config(config, workdir)
    loop.prune_kernels = whole
    assert len([*(workdir / "progress").glob("layer_*.npz")]) == 2
    return run_from_config(config, workdir)


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
    sweep_from_config(job(model, "allocation", "sweep", **fields), workdir)
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
        config = job(model, case)
        report = run_from_config(config, workdir / case)
        found[case] = {"digests": report["digests"]}
        if alone:
            again = crashed(config, workdir / f"{case}-crashed")
            found[case] |= in_use(model, case, workdir / case)
            found[case]["resumed"] = again["digests"] == report["digests"]
    if alone:
        found["sweep"] = swept(model, workdir / "sweep")
    if hosts.is_first():
        (workdir / "found.json").write_text(json.dumps(found))


main()
