"""Rows of the table of faults: the JSON files of a run, with values that are not what they should be."""

import json
from pathlib import Path

from faults.fault import Fault, both
from faults.place import halve


def edited(file, **values):
    """A JSON file with other values: keys with __ between them lead to each."""
    whole = json.loads(file.read_text()) if file.is_file() else {}
    for path, value in values.items():
        *above, last = path.split("__")
        inner = whole
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = value
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(whole))


def pruned(script, file, says, **values):
    """A script on a pruned run in which a file says something else."""
    return Fault(lambda p: both(r := p.whole_run(), edited(r / file, **values), [script, r]), says)


def evaluated_and_changed(place, file, change):
    """The command that compares two evaluated runs, of which the second has a changed file."""
    runs = place.runs()
    change(runs[1] / "xnli" / file)
    return ["compare", *runs]


ROWS = {
    "verify: report of nothing": Fault(
        lambda p: both(r := p.whole_run(), (r / "report.json").write_text("{}"), ["verify", r]), r"run: no complete"
    ),
    "report: a report that was changed": pruned(
        "report", "report.json", r"run/report\.json: changed since it was written; expected the file",
        seconds__total=-1,
    ),
    "report: a config that was changed": pruned(
        "report", "config.json", r"run/config\.json: damaged, its bytes are not those", pruning="wanda",
    ),
    "compare: a report that was changed": Fault(
        lambda p: both(
            r := p.runs(), edited(r[0] / "report.json", models="dense"), ["compare", *r],
        ),
        r"a/report\.json: changed since it was written",
    ),
    "prune: the report of another program": Fault(
        lambda p: both(edited(p.workdir / "report.json", identity=[1]), p.prune()),
        r"--workdir: .*workdir/report\.json: changed since it was written; .*; move it away",
    ),
    "prune: a table of files": Fault(
        lambda p: both(edited(p.workdir / "hf" / "files.json", **{"a.txt": 3}), p.prune()),
        r"hf/files\.json: Expected `array`, got `int` - at `\$\[\.\.\.\]`",
    ),
    "compare: half of the scores": Fault(
        lambda p: evaluated_and_changed(p, "en.npz", halve), r"b/xnli/en\.npz: damaged, its bytes"
    ),
    "compare: scores that are gone": Fault(
        lambda p: evaluated_and_changed(p, "en.npz", Path.unlink), r"b/xnli/en\.npz: missing"
    ),
    "compare: scores of another model": Fault(
        lambda p: both(
            r := p.whole_run(), edited(r / "xnli" / "evaluation.json", model_sha256="7" * 64),
            ["compare", p.runs()[0], r],
        ),
        r"run/xnli/evaluation\.json: scores of another model",
    ),
}  # fmt: skip
