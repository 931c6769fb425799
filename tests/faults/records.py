"""Rows of the table of faults: the JSON files of a run, with values that are not what they should be."""

import json
from pathlib import Path

from faults.fault import Fault, both
from faults.place import GOOD_ROW, halve

from jaxprune.base.files import sealed


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


def sealed_and_changed(place, file, change):
    """Two evaluated runs; of the second a file changes after its folder has its table."""
    runs = place.runs()
    (runs[1] / "xnli" / "evaluation.json").write_text('{"languages": ["en"]}')
    sealed.seal(runs[1] / "xnli")
    change(runs[1] / "xnli" / file)
    return ["compare", *runs]


ROWS = {
    "verify: digests": pruned(
        "verify", "report.json", r"run/report\.json: Expected `str`, got `int` - at `\$\.digests\.masks`",
        digests__masks=7,
    ),
    "verify: sparsity of a layer": pruned(
        "verify", "report.json", r"report\.json: Expected `float`, got `null` - at `\$\.sparsity\.layers\[1\]`",
        sparsity__layers=[0.3, None],
    ),
    "verify: files": pruned(
        "verify", "report.json", r"report\.json: Expected `object`, got `array` - at `\$\.files`", files=["config.json"]
    ),
    "verify: report of nothing": Fault(
        lambda p: both(r := p.whole_run(), (r / "report.json").write_text("{}"), ["verify", r]), r"run: no complete"
    ),
    "report: seconds": pruned(
        "report", "report.json", r"report\.json: Expected `float` >= 0\.0 - at `\$\.seconds", seconds__total=-1
    ),
    "report: memory": pruned(
        "report", "report.json", r"report\.json: Expected `int`, got `float` - at `\$\.peak_memory_bytes",
        peak_memory_bytes__host=0.5,
    ),
    "report: config.json": Fault(
        lambda p: both(
            r := p.runs(), edited(r[0] / "xnli" / "evaluation.json", task="xnli"),
            edited(r[0] / "config.json", pruning="wanda"), ["report", r[0]],
        ),
        r"a/config\.json: Expected `object`, got `str` - at `\$\.pruning`",
    ),
    "report: analysis": Fault(
        lambda p: both(r := p.runs()[0], edited(r / "analysis" / "analysis.json", top=[0.1]), ["report", r]),
        r"analysis/analysis\.json: Expected `object`, got `array` - at `\$\.top`",
    ),
    "compare: model": Fault(
        lambda p: both(
            r := p.runs(), edited(r[0] / "report.json", models="dense"), ["compare", *r],
        ),
        r"a/report\.json: Expected `object`, got `str` - at `\$\.models`",
    ),
    "prune: samples of an unfinished run": Fault(
        lambda p: both(edited(p.workdir / "progress" / "run.json", samples_per_device="2"), p.prune()),
        r"progress/run\.json: Expected `int`, got `str` - at `\$\.samples_per_device`; expected --overwrite",
    ),
    "prune: identity of a complete run": Fault(
        lambda p: both(edited(p.workdir / "report.json", identity=[1]), p.prune()),
        r"workdir/report\.json: Expected `object`, got `array` - at `\$\.identity`",
    ),
    "prune: a table of files": Fault(
        lambda p: both(edited(p.workdir / "hf" / "files.json", **{"a.txt": 3}), p.prune()),
        r"hf/files\.json: Expected `array`, got `int` - at `\$\[\.\.\.\]`",
    ),
    "evaluate: digest of the model": Fault(
        lambda p: both(
            edited(p.workdir / "toy" / "evaluation.json", model_sha256=[1]),
            edited(p.workdir / "toy" / "files.json", **{"evaluation.json": [1, "x"]}),
            p.evaluate(p.task(GOOD_ROW), "evaluation.languages=en"),
        ),
        r"toy/evaluation\.json: Expected `str \| null`, got `array` - at `\$\.model_sha256`",
    ),
    "sweep: config": Fault(
        lambda p: both(
            edited(p.workdir / "sweep.json", config=[]),
            p.script("sweep", "calibration.data=nano", "evaluation.tasks=nano_nli", "sweep.grid=seed=0"),
        ),
        r"sweep\.json: Expected `object`, got `array` - at `\$\.config`; allowed: another --workdir",
    ),
    "compare: half of the scores": Fault(
        lambda p: sealed_and_changed(p, "en.npz", halve), r"b/xnli/en\.npz: damaged, its bytes"
    ),
    "compare: scores that are gone": Fault(
        lambda p: sealed_and_changed(p, "en.npz", Path.unlink), r"b/xnli/en\.npz: missing"
    ),
    "report: half of the scores": Fault(
        lambda p: ["report", sealed_and_changed(p, "en.npz", halve)[2]], r"b/xnli/en\.npz: damaged, its bytes"
    ),
    "report: scores of another model": pruned(
        "report", "xnli/evaluation.json", rf"xnli/evaluation\.json: scores of another model \(SHA-256 {'7' * 12}…",
        model_sha256="7" * 64,
    ),
    "compare: scores of another model": Fault(
        lambda p: both(
            r := p.whole_run(), edited(r / "xnli" / "evaluation.json", model_sha256="7" * 64),
            ["compare", p.runs()[0], r],
        ),
        r"run/xnli/evaluation\.json: scores of another model",
    ),
}  # fmt: skip
