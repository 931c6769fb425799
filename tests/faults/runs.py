"""Rows of the table of faults: workdirs given to compare, analyze, report, verify and sweep."""

import os

from faults.fault import Fault, both, full_disk
from faults.place import halve, largest

ROWS = {
    "sweep: a part after --merge=": Fault(
        lambda p: ["sweep", "--merge=a", "b", "--workdir=c"], r"unrecognized arguments: b; usage: .*--merge PART PART"
    ),
    "pack: a misspelt flag": Fault(
        lambda p: ["pack", "--model=nano/gpt2", "--langages=fr", "--workdir=c"],
        r"--langages: no such flag \(did you mean --languages\?\); usage: ",
    ),
    "sweep: no tasks": Fault(
        lambda p: p.script("sweep", "calibration.data=nano", "evaluation.tasks=", "sweep.grid=seed=0"),
        r"evaluation: nothing to compare variants on; set evaluation\.tasks",
    ),
    "compare: no argument": Fault(lambda p: ["compare"], r"BASE, RUN; usage: compare\.py"),
    "compare: out is a file": Fault(
        lambda p: ["compare", *p.runs(), "--out", p.file(b"", "file")], r"--out: .*is a file"
    ),
    "compare: full disk": Fault(
        lambda p: ["compare", *both(*(r := p.runs()), full_disk(p, os, "replace"), r)],
        r"\[Errno 28\] No space left on device: '.*/(measurements\.csv|changes\.csv)'", 1,
    ),
    "analyze: checkpoint cut": Fault(
        lambda p: both(
            halve(largest(p.whole_run("b") / "checkpoint/masks")),
            p.script("analyze", "calibration.data=nano", f"analysis.masks={p.whole_run('a')},{p.folder / 'b'}"),
        ),
        r"b/checkpoint/masks/.*: damaged",
    ),
    "report: nothing in it": Fault(lambda p: ["report", p.texts()], r"texts: nothing to report"),
    "report: statistics cut": Fault(
        lambda p: both(
            (r := p.whole_run()),
            [halve(file) for file in (r / "stats").rglob("*") if file.is_file() and file.stat().st_size > 500],
            ["report", r],
        ),
        r"run/stats/.*: (damaged|not JSON)",
    ),
    "prune: no process": Fault(
        lambda p: [*p.prune(), "--plan", "--processes=0"], r"flag --processes=0: 0 is not a positive integer"
    ),
}  # fmt: skip
