"""The folders of an evaluation: writing and reading them whole, rejecting or removing those of another one."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.files.arrays import read_npz
from jaxprune.base.files.places import local_path
from jaxprune.base.files.whole import write_json, write_text
from jaxprune.base.text import csv_text
from jaxprune.base.workdir.differences import difference
from jaxprune.base.workdir.json_files import EVALUATION, Report
from jaxprune.base.workdir.reading import (
    MODEL_DIGEST,
    check_scored_model,
    pruned_digest,
    read_config,
    read_report,
)
from jaxprune.devices import hosts
from jaxprune.evaluation.evaluation import Evaluation, Part
from jaxprune.evaluation.identity import IDENTITY, Identity
from jaxprune.evaluation.measurements import (
    MEASUREMENTS,
    Measurement,
    evaluated_folders,
    read_evaluation,
    read_measurements,
)
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY, Perplexity
from jaxprune.evaluation.scoring.scores import Scored, check_scores
from jaxprune.evaluation.translation.results import (
    TRANSLATION,
    Translated,
    read_translated,
    write_translated,
)
from jaxprune.hf.model import Model


def clear_folders(
    workdir: Path, wanted: Mapping[str, Identity | None], model: Model, overwrite: bool
) -> None:
    """Removes the scores of another evaluation; scores of the same evaluation stay.

    Args:
      workdir: folder of the evaluation.
      wanted: identities by folder; None matches no scores.
      model: the model to evaluate.
      overwrite: remove the scores of another model, of other questions or settings; by default they are rejected.

    Raises:
      InputError: a folder has the scores of another model or of other questions (names the difference), or files
        that this package did not write.
    """
    digest, report = model.source.fingerprint.digest, Report()
    with contextlib.suppress(InputError):  # another program's report.json
        report = read_report(workdir) or report
    if report and digest not in (report.get("models", {}).get("hf"), pruned_digest(report)):
        raise InputError(
            f"--workdir: {workdir} is the workdir of another model; expected {workdir / 'hf'} as the model, or another "
            "folder"
        )
    replaced = []
    for name, identity in wanted.items():
        manifest.check_replaceable(workdir / name, overwrite=True, where="--workdir: ")
        written = _score_origin(workdir / name)
        is_model = written.get(MODEL_DIGEST) in (None, digest)
        differs = identity is None or difference(written.get(IDENTITY, {}), identity)
        if is_model and not differs:
            continue
        if written and not overwrite:
            other = f"another evaluation, with {differs}" if is_model else "another model"
            raise InputError(
                f"--workdir: {workdir / name / EVALUATION} has the scores of {other}; "
                "add --overwrite to replace them, or choose another folder"
            )
        replaced.append(name)
    for name in replaced:
        manifest.remove(workdir / name)
    workdir.mkdir(parents=True, exist_ok=True)


def _score_origin(folder: Path) -> Mapping[str, Any]:
    """Model and identity of the scores in a folder; rejects a folder of something else."""
    if (folder / manifest.TABLE).is_file() and EVALUATION not in manifest.table(folder):
        raise InputError(
            f"--workdir: {folder} contains no scores, and would be replaced by those of a task of this name; "
            "give the task another name, or choose another folder"
        )
    return read_evaluation(folder)


def write_part(workdir: Path | None, name: str, part: Part) -> None:
    """Writes `<workdir>/<name>`: measurements.csv, evaluation.json and the rows by language; on the first host only."""
    if workdir is None or not hosts.is_first():
        return
    with manifest.whole_folder(workdir / name) as folder:
        for code, rows in part.rows.items():
            if isinstance(rows, Translated):
                write_translated(folder / f"{code}.jsonl", rows)
            else:
                arrays = {name: a for name, a in rows._asdict().items() if a is not None}
                np.savez(folder / f"{code}.npz", **arrays)
        lines = csv_text(Measurement._fields, part.measurements)
        write_text(folder / MEASUREMENTS, lines)
        write_json(folder / EVALUATION, part.facts)


def open_evaluation(workdir: str | Path) -> Evaluation:
    """The evaluation that `jaxprune evaluate` wrote, as `evaluate` returns it: figures and the scores of every row.

    Args:
      workdir: `--workdir` of the evaluation, a folder or an address in a bucket.

    Raises:
      InputError: no such folder, or a broken file; scores of another model than the workdir's.
    """
    workdir = local_path(workdir)
    if not workdir.is_dir():
        raise InputError(f"{workdir}: no such folder; expected the --workdir of an evaluated run")
    check_scored_model(workdir)
    parts = {folder.name: _read_part(folder) for folder in evaluated_folders(workdir)}
    names = {part.facts.get("run") for part in parts.values()}
    name = names.pop() if len(names) == 1 else None
    about = _about(workdir)
    evaluation = Evaluation(name=name or workdir.resolve().name, parts=parts, about=about)
    return evaluation.renamed(evaluation.name)


def _about(workdir: Path) -> tuple[str, ...]:
    """The method, its amount and the text that it read, from the record of a run; empty without one."""
    report = read_report(workdir) or Report()
    config = read_config(workdir, report)
    pruning, quantize = config.get("pruning", {}), config.get("quantize", {})
    recovery = config.get("recovery", {})
    calibration = config.get("calibration", {}) if report.get("tokens", True) else {}
    pattern, sparsity = pruning.get("pattern", ""), pruning.get("sparsity")
    texts = [
        pruning.get("criterion"),
        pattern if ":" in pattern else None,
        sparsity and f"{100 * sparsity:g}% sparsity",
        *(quantize.get(name) for name in ("how", "grid", "size")),
        recovery.get("how") and f"recovered by {recovery['how']}",
        *(calibration.get(name) for name in ("kind", "source")),
    ]
    return tuple(str(text) for text in texts if text is not None)


def _read_part(folder: Path) -> Part:
    facts = read_evaluation(folder)
    rows = {code: _read_rows(folder, code) for code in facts.get("languages", ())}
    return Part(facts=facts, measurements=read_measurements(folder), rows=rows)


def _read_rows(folder: Path, code: str) -> Scored | Perplexity | Translated:
    if folder.name == TRANSLATION:
        return read_translated(folder / f"{code}.jsonl")
    file = folder / f"{code}.npz"
    arrays = read_npz(file)
    if folder.name == PERPLEXITY:
        numbers, parts = Perplexity._fields[:3], Perplexity._fields[3:]
        return Perplexity(
            *(arrays[name].item() for name in numbers), *(arrays[name] for name in parts)
        )
    scored = Scored(**{name: arrays[name] for name in Scored._fields if name in arrays})
    check_scores(scored, str(file))
    return scored
