"""A model, texts and samples by language → a smaller model in a workdir."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from jaxprune import ledger
from jaxprune.calibration import line_digests, sampled_lines
from jaxprune.devices import device_mesh
from jaxprune.errors import InputError
from jaxprune.files import sealed
from jaxprune.hf import load, origin_of
from jaxprune.ledger import Report
from jaxprune.progress import Clock
from jaxprune.runs.job import about_files
from jaxprune.runs.machine import environment, peak_memory
from jaxprune.runs.outputs import OUTPUTS
from jaxprune.runs.pipeline import calibration_batches
from jaxprune.runs.planning import ShrinkConfig
from jaxprune.runs.smaller_card import HEADER, remarks, sizes, smaller_card, splits
from jaxprune.shrinking import (
    Kept,
    ShrinkFields,
    Texts,
    choose_layers,
    choose_tokens,
    frequent_words,
    report_on,
    texts_by_language,
    write_smaller,
)
from jaxprune.tables import columns, named_values, seconds

# The parts of a config that it reads.
_READ = ("model", "revision", "dtype", "seed", "calibration", "shrink")


def shrink_from_config(
    config: ShrinkConfig, workdir: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Writes a model with fewer tokens or layers to `workdir/hf`, and a report on it.

    Args:
      config: validated.
      workdir: of the run; receives `hf/`, config.json and report.json.
      overwrite: replace a complete run.

    Returns:
      The content of report.json.

    Raises:
      InputError: nothing to shrink, no texts, a tokenizer of another kind than BPE and Unigram, no wordfreq, or another
        run in the workdir.
    """
    began = time.perf_counter()
    model, fields = load(config.model, config.revision), config.shrink
    texts, heldout = _texts(fields)
    words = {code: frequent_words(code, fields.words) for code in texts} if fields.words else {}
    if without := [code for code, of_code in words.items() if not of_code]:
        print(f"wordfreq has no list for {' '.join(without)}")
    ledger.check_workdir(workdir, model.folder, OUTPUTS)
    batches = calibration_batches(config, model) if fields.layers else []
    every = config.json()
    read = {name: every[name] for name in _READ}
    identity = ledger.shrink_identity(model, read, _digest(texts, words, heldout), batches)
    if not overwrite and (complete := ledger.complete_run(workdir, identity)):
        print(f"{workdir} is complete; --overwrite repeats the run")
        return dict(complete)
    with ledger.unfinished_run(workdir, identity, {}, OUTPUTS, overwrite) as folder:
        clock = Clock()
        kept = choose_tokens(model, texts, fields, words) if texts else Kept()
        kept = kept._replace(depth=choose_layers(model, fields, batches, dtype=config.dtype))
        clock.lap("choose")
        smaller = write_smaller(model, kept, folder / "hf", card="")
        clock.lap("write")
        report: Any = {"shrunk": report_on(model, smaller, kept, texts, heldout)}
        clock.lap("compare")
        report |= about_files(model, folder / "hf")
        report["identity"] = identity
        lines = {*line_digests(line for of_code in texts.values() for line in of_code)}
        if batches:
            lines.update(sampled_lines(config.calibration, config.seed, config.compat))
        report["calibration_lines"] = sorted(lines)
        report["origin"] = origin_of(model, config.model)
        report["environment"] = environment(device_mesh())
        report["peak_memory_bytes"] = peak_memory()
        sealed.replace_card(folder / "hf", smaller_card(read, report))
        model.source.fingerprint.check_unchanged()
        times = clock.take() | {"total": time.perf_counter() - began}
        report["seconds"] = {stage: round(number, 3) for stage, number in times.items()}
        report = ledger.publish(folder, workdir, OUTPUTS, read, report)
    _print(report, workdir)
    return report


def _texts(fields: ShrinkFields) -> tuple[Texts, Texts]:
    if fields.vocabulary is None:
        if fields.layers is fields.drop_layers is None:
            raise InputError(
                "shrink: nothing to shrink; allowed: shrink.vocabulary, shrink.layers or shrink.drop_layers"
            )
        return {}, {}
    codes = fields.languages.split(",") if fields.languages else None
    texts = texts_by_language("shrink.vocabulary", fields.vocabulary, codes)
    if fields.heldout is None:
        return texts, {}
    return texts, texts_by_language("shrink.heldout", fields.heldout, [*texts])


def _digest(*texts: Texts) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def _print(report: Report, workdir: Path) -> None:
    """The tables at the end of a run."""
    shrunk = report["shrunk"]
    rows = {name: f"{before} before, {after} after" for name, before, after in sizes(report)}
    rows |= {"seconds": seconds(report["seconds"]["total"]), "written": str(workdir / "hf")}
    lines = ["", *named_values(rows)]
    if shrunk.get("selection"):
        lines += ["", *columns(HEADER, [*splits(shrunk)])]
    print("\n".join([*lines, "", *remarks(shrunk)]))
