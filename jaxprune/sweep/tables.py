"""From the folders of a sweep to the paper's tables, as JSON values. Needs no model.

A *row* is a calibration at a sparsity. In each language it shows the variant that was calibrated on text of
that language (the paper's tables 2 to 4), or the only one where the calibration has no language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxprune.evaluation.comparison import Evaluated, compare_means, compare_runs, paired, read_run
from jaxprune.evaluation.scoring import ALPHA, holm, task_metrics
from jaxprune.evaluation.translation import TRANSLATION
from jaxprune.files import read_json
from jaxprune.sweep.plan import DENSE, Variant, jobs, task_languages, variants
from jaxprune.sweep.translated import translation_table

Runs = Mapping[Variant, Mapping[str, Evaluated]]
Found = Mapping[Variant, Mapping[str, Any]]  # what `compare_runs` says of a variant against dense


def tables(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Everything that tables.json holds.

    Args:
      config: of the sweep.
      workdir: all its variants are whole.

    Returns:
      `tasks`: by name, `dense` and `rows` as the module says, and `variants`, each in every language. Of a cell:
      accuracy with Wilson's interval, its difference to dense with the interval of the paired bootstrap,
      McNemar's p, `holm` over the languages of the variant (as scripts/compare.py has it) and
      `holm_table` over all cells of the rows. Shares, not percent. `translation`: see `translated`.
      `seconds` by stage, `method`.

    Raises:
      InputError: as `compare_runs`.
    """
    planned = variants(config)
    folders = {variant: workdir / variant.name for variant in planned}
    dense = folders[planned[0]]
    runs = {variant: read_run(folder) for variant, folder in folders.items()}
    found = {
        variant: compare_runs(dense, folder, config.seed)
        for variant, folder in folders.items()
        if variant.calibration != DENSE
    }
    made = config.calibration
    return {
        "model": config.model,
        "revision": config.revision,
        "propagate": config.pruning.propagate,
        "calibration": {key: made[key] for key in ("data", "target", "shots", "samples")},
        "tasks": {
            task: _task(task, codes, runs, found, config.seed)
            for task, codes in task_languages(config).items()
        },
        "translation": translation_table(
            dense, _groups(found), found,
            jobs(planned[0], config).get(TRANSLATION, []),
        ),
        "seconds": _seconds(folders),
        "method": {
            "alpha": ALPHA,
            "significant": "McNemar's exact test against dense, Holm's correction over the languages of a "
            "variant; in the table: over all its cells",
        },
    }  # fmt: skip


def _task(task: str, codes: Sequence[str], runs: Runs, found: Found, seed: int) -> dict[str, Any]:
    before = next(iter(runs.values()))[task]
    rows = [
        _row(key, group, task, codes, runs, found, seed) for key, group in _groups(found).items()
    ]
    cells = [cell for row in rows for cell in row["languages"].values()]
    for cell, p in zip(cells, holm([cell["p"]["mcnemar"] for cell in cells]), strict=True):
        cell["p"]["holm_table"] = p
        cell["significant_table"] = p <= ALPHA
    return {
        "protocol": before.metrics.get("protocol"),
        "dense": _dense(before, codes),
        "rows": rows,
        "variants": [_variant(one, found[one]["tasks"][task], codes) for one in found],
    }


def _groups(found: Found) -> dict[tuple[str, float | None], list[Variant]]:
    """Variants by calibration and sparsity; what is not pruned comes last."""
    keys = dict.fromkeys((one.calibration, one.sparsity) for one in found)
    order = sorted(keys, key=lambda key: (key[1] is None, key[1]))
    return {key: [one for one in found if (one.calibration, one.sparsity) == key] for key in order}


def _dense(before: Evaluated, codes: Sequence[str]) -> dict[str, Any]:
    scored = {code: before.languages[code] for code in codes}
    metrics = task_metrics(scored, any("rankc" in f for f in before.metrics["languages"].values()))
    languages = {
        code: {
            "rows": figure["rows"],
            "accuracy": figure["accuracy"],
            "interval": figure["interval"],
            "rankc": (figure.get("rankc") or {}).get("corrected"),
        }
        for code, figure in metrics["languages"].items()
    }
    return {"languages": languages, "mean_non_english": metrics["mean_non_english"]}


def _row(
    key: tuple[str, float | None], group: Sequence[Variant], task: str, codes: Sequence[str],
    runs: Runs, found: Found, seed: int,
) -> dict[str, Any]:  # fmt: skip
    serving = {
        code: variant for code in codes for variant in group if variant.serves(code)
    }  # one at most
    cells = {
        code: {"variant": variant.name, "language": variant.language}
        | _cell(found[variant]["tasks"][task]["languages"][code])
        for code, variant in serving.items()
    }
    others = [code for code in codes if code != "en"]
    mean = None
    if others and {*others} <= serving.keys():
        dense = next(iter(runs.values()))[task].languages
        pairs = {
            code: paired(code, dense[code], runs[serving[code]][task].languages[code])
            for code in others
        }
        mean = _mean(compare_means(pairs, seed))
    return {
        "calibration": key[0], "sparsity": key[1], "languages": cells, "mean_non_english": mean,
    }  # fmt: skip


def _variant(variant: Variant, found: Mapping[str, Any], codes: Sequence[str]) -> dict[str, Any]:
    others = found["mean_non_english"]
    return {
        "variant": variant.name,
        "calibration": variant.calibration,
        "language": variant.language,
        "sparsity": variant.sparsity,
        "languages": {code: _cell(found["languages"][code]) for code in codes},
        "mean_non_english": _mean(others) if others else None,
    }


def _cell(figure: Mapping[str, Any]) -> dict[str, Any]:
    """Of one language in what `compare_runs` returns; b is the variant."""
    return {
        "rows": figure["rows"],
        "accuracy": figure["accuracy"]["b"],
        "interval": figure["accuracy_interval"]["b"],
        "difference": figure["difference"],
        "difference_interval": figure["interval"],
        "p": {"mcnemar": figure["p"]["mcnemar"], "holm": figure["p"]["holm"]},
        "significant": figure["significant"],
        "rankc": figure["rankc"]["b"]["corrected"] if figure["rankc"] else None,
    }


def _mean(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "accuracy": found["accuracy"]["b"],
        "difference": found["difference"],
        "difference_interval": found["interval"],
        "p": found["p"]["bootstrap"],
    }


def _seconds(folders: Mapping[Variant, Path]) -> dict[str, float]:
    """By stage, over all variants, as their own files tell."""
    stages: dict[str, float] = {}
    for folder in folders.values():
        files = {"prune": folder / "report.json"}
        files |= {file.parent.name: file for file in sorted(folder.glob("*/metrics.json"))}
        for stage, file in files.items():
            if file.is_file():
                seconds = read_json(file).get("seconds", 0.0)
                total = seconds["total"] if isinstance(seconds, dict) else seconds
                stages[stage] = round(stages.get(stage, 0.0) + total, 3)
    return stages
