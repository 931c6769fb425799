"""A model and texts by language → a smaller model in a workdir."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from jaxprune import ledger
from jaxprune.devices import device_mesh
from jaxprune.errors import InputError
from jaxprune.files import sealed
from jaxprune.hf import Model, load, origin_of
from jaxprune.ledger import Report
from jaxprune.progress import Clock
from jaxprune.runs.job import about_files
from jaxprune.runs.machine import environment, peak_memory
from jaxprune.runs.outputs import OUTPUTS
from jaxprune.runs.planning import ShrinkConfig
from jaxprune.runs.smaller_card import HEADER, difference, sizes, smaller_card, splits
from jaxprune.schema import fields_of
from jaxprune.shrinking import (
    ShrinkFields,
    Texts,
    choose_vocabulary,
    report_on,
    texts_by_language,
    write_smaller,
)
from jaxprune.tables import columns, named_values, seconds


def shrink_from_config(
    config: ShrinkConfig, workdir: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Writes a model with the tokens of some texts to `workdir/hf`, and a report on it.

    Args:
      config: validated.
      workdir: of the run; receives `hf/`, config.json and report.json.
      overwrite: replace a complete run.

    Returns:
      The content of report.json.

    Raises:
      InputError: no texts, a tokenizer of another kind than BPE and Unigram, or another run in the workdir.
    """
    began = time.perf_counter()
    model = load(config.model, config.revision)
    texts, heldout = _texts(config.shrink)
    ledger.check_workdir(workdir, model.folder, OUTPUTS)
    every = config.json()
    read = {name: every[name] for name in ("model", "revision", "shrink")}
    identity = ledger.shrink_identity(model, read, _digest(texts, heldout))
    if not overwrite and (complete := ledger.complete_run(workdir, identity)):
        print(f"{workdir} is complete; --overwrite repeats the run")
        return dict(complete)
    with ledger.unfinished_run(workdir, identity, {}, OUTPUTS, overwrite) as folder:
        report: Any = _written(model, config, texts, heldout, folder / "hf")
        report["identity"] = identity
        report["origin"] = origin_of(model, config.model)
        report["environment"] = environment(device_mesh())
        report["peak_memory_bytes"] = peak_memory()
        sealed.replace_card(folder / "hf", smaller_card(read, report))
        model.source.fingerprint.check_unchanged()
        report["seconds"]["total"] = round(time.perf_counter() - began, 3)
        report = ledger.publish(folder, workdir, OUTPUTS, read, report)
    _print(report, workdir)
    return report


def _texts(fields: ShrinkFields) -> tuple[Texts, Texts]:
    if fields.vocabulary is None:
        allowed = fields_of(ShrinkConfig)["shrink.vocabulary"].allowed
        raise InputError(f"shrink.vocabulary: not set; allowed: {allowed}")
    codes = fields.languages.split(",") if fields.languages else None
    texts = texts_by_language("shrink.vocabulary", fields.vocabulary, codes)
    if fields.heldout is None:
        return texts, {}
    return texts, texts_by_language("shrink.heldout", fields.heldout, [*texts])


def _digest(*texts: Texts) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def _written(
    model: Model, config: ShrinkConfig, texts: Texts, heldout: Texts, folder: Path
) -> dict[str, Any]:
    """Writes the smaller model; returns its part of report.json."""
    clock = Clock()
    vocabulary = choose_vocabulary(model, texts, config.shrink)
    clock.lap("choose")
    smaller = write_smaller(model, vocabulary, folder, card="")
    clock.lap("write")
    shrunk = report_on(model, smaller, vocabulary, texts, heldout)
    clock.lap("compare")
    times = {stage: round(laps, 3) for stage, laps in clock.take().items()}
    return {"shrunk": shrunk, **about_files(model, folder), "seconds": times}


def _print(report: Report, workdir: Path) -> None:
    """The tables at the end of a run."""
    shrunk = report["shrunk"]
    rows = {name: f"{before} before, {after} after" for name, before, after in sizes(report)}
    rows |= {"seconds": seconds(report["seconds"]["total"]), "written": str(workdir / "hf")}
    print("\n".join(["", *named_values(rows), "", *columns(HEADER, [*splits(shrunk)])]))
    print("\n".join(["", *difference(shrunk)]))
