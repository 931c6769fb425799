"""Rows of the table of faults: workdirs given to compare, analyze, report, verify and sweep."""

import os

from faults.fault import Fault, both, full_disk
from faults.place import halve, largest, npy, zipped


def npz_in_run(place, content):
    a, b = place.runs()
    (b / "xnli" / "en.npz").write_bytes(content)
    return ["compare", a, b]


ROWS = {
    "sweep: a part after --merge=": Fault(
        lambda p: ["sweep", "--merge=a", "b", "--workdir=c"], r"unrecognized arguments: b; usage: .*--merge PART PART"
    ),
    "compare: no argument": Fault(lambda p: ["compare"], r"BASE, RUN; usage: compare\.py"),
    "compare: no such run": Fault(
        lambda p: ["compare", p.runs()[0], p.folder / "c"], r"/c: no such folder"
    ),
    "compare: not evaluated": Fault(
        lambda p: ["compare", p.runs()[0], p.texts()], r"texts: not evaluated; expected"
    ),
    "compare: npz cut": Fault(
        lambda p: npz_in_run(p, zipped("scores.npy", npy((4, 3)))[:-30]), r"b/xnli/en\.npz: damaged"
    ),
    "compare: evaluation no JSON": Fault(
        lambda p: both(
            (r := p.runs()), (r[0] / "xnli" / "evaluation.json").write_text("{"), ["compare", *r]
        ),
        r"a/xnli/evaluation\.json: damaged, its bytes",
    ),
    "compare: out is a file": Fault(
        lambda p: ["compare", *p.runs(), "--out", p.file(b"", "file")], r"--out: .*is a file"
    ),
    "compare: full disk": Fault(
        lambda p: ["compare", *both(*(r := p.runs()), full_disk(p, os, "replace"), r)],
        r"\[Errno 28\] No space left on device: '.*/(measurements\.csv|changes\.csv)'", 1,
    ),
    "analyze: one run": Fault(
        lambda p: p.script("analyze", "calibration.data=nano", f"analysis.masks={p.whole_run()}"),
        r"analysis\.masks: one run",
    ),
    "analyze: checkpoint cut": Fault(
        lambda p: both(
            halve(largest(p.whole_run("b") / "checkpoint/masks")),
            p.script("analyze", "calibration.data=nano", f"analysis.masks={p.whole_run('a')},{p.folder / 'b'}"),
        ),
        r"b/checkpoint/masks/.*: damaged",
    ),
    "report: nothing in it": Fault(lambda p: ["report", p.texts()], r"texts: nothing to report"),
    "report: out is a folder": Fault(
        lambda p: ["report", p.whole_run(), "--out", p.texts()], r"texts: a folder"
    ),
    "report: statistics cut": Fault(
        lambda p: both(
            (r := p.whole_run()),
            [halve(file) for file in (r / "stats").rglob("*") if file.is_file() and file.stat().st_size > 500],
            ["report", r],
        ),
        r"run/stats/.*: (damaged|not JSON)",
    ),
    "verify: no report": Fault(lambda p: ["verify", p.texts()], r"texts: no complete run"),
    "verify: report no JSON": Fault(
        lambda p: both((r := p.whole_run()), (r / "report.json").write_text("{"), ["verify", r]),
        r"run/report\.json: not JSON",
    ),
    "sweep: a plan of no share": Fault(
        lambda p: [
            *p.script("sweep", "calibration.data=nano", "evaluation.tasks=nano_nli", "sweep.grid=seed=0|1"),
            "--plan", "--shard=3/2",
        ],
        r"--shard: got '3/2'; expected i/n",
    ),
    "prune: no process": Fault(
        lambda p: [*p.prune(), "--plan", "--processes=0"], r"flag --processes=0: 0 is not a positive integer"
    ),
    "sweep: of another model": Fault(
        lambda p: both(
            p.workdir.mkdir(), (p.workdir / "sweep.json").write_text(
                '{"config": {"model": "x", "sweep.grid": "seed=0"}, "digests": {}}'
            ),
            p.script("sweep", "calibration.data=nano", "evaluation.tasks=nano_nli", "sweep.grid=seed=0"),
        ),
        r"model: got .*bloom.*contains a sweep with 'x'",
    ),
}  # fmt: skip
