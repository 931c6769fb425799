"""A model, texts and samples by language → a smaller model in a workdir."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxprune.base.errors import invalid_value
from jaxprune.base.progress import Clock
from jaxprune.base.text import named_values, seconds, table_lines
from jaxprune.base.workdir.json_files import Report
from jaxprune.base.workdir.reading import check_workdir
from jaxprune.data.texts import line_digests
from jaxprune.devices.machine import environment
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.model import Model
from jaxprune.hf.origin import origin_of
from jaxprune.runs.card import model_card
from jaxprune.runs.facts import run_facts
from jaxprune.runs.identity import shrink_identity
from jaxprune.runs.lifecycle import open_run
from jaxprune.runs.pipeline import calibration_batches, text_record
from jaxprune.runs.planning.config import ShrinkConfig
from jaxprune.runs.smaller_facts import split_table
from jaxprune.shrinking.choose import Samples, choose
from jaxprune.shrinking.expected import Shares
from jaxprune.shrinking.texts import RunTexts, read_texts
from jaxprune.shrinking.width import STATISTICS_OF_NEURONS
from jaxprune.shrinking.write import report_on, write_smaller
from jaxprune.stats.combinations import SUM
from jaxprune.stats.combine import mixture_of
from jaxprune.stats.running import order_of_sums


def shrink_from_config(
    config: ShrinkConfig, workdir: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Writes a model with fewer tokens, layers or neurons to `workdir/hf`, and a report on it.

    Args:
      config: validated.
      workdir: workdir of the run; receives `hf/`, config.json and report.json.
      overwrite: replace a complete run.

    Returns:
      The content of report.json.

    Raises:
      InputError: nothing to shrink, no texts, a tokenizer of another kind than BPE and Unigram, no wordfreq, or another
        run in the workdir.
    """
    report = shrink_to_workdir(config, workdir, overwrite=overwrite)
    print_smaller(config.json(), report, workdir)
    return report


def shrink_to_workdir(
    config: ShrinkConfig, workdir: Path, *, expected: Shares | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """`shrink_from_config` without its summary.

    Args:
      expected: the result of `expected_shares` for these texts, if it is known.
    """
    began = time.perf_counter()
    config.shrink.check_alternatives()
    model, fields = config.open_model(), config.shrink
    texts = read_texts(fields)
    check_workdir(workdir, model.folder)
    samples = _samples(config, model)
    read = config.json()
    order = order_of_sums(STATISTICS_OF_NEURONS, device_mesh()) if fields.mlp else None
    identity = shrink_identity(model, read, texts.digest, samples.batches, order)
    with open_run(
        workdir, [model], identity, read, began=began, overwrite=overwrite, card=model_card
    ) as run:
        if run.result is None:
            run.result = _write(model, config, texts, samples, run.folder / "hf", expected)
    assert run.result is not None
    return run.result


def _samples(config: ShrinkConfig, model: Model) -> Samples:
    """The samples that measure layers and neurons; without batches if none are measured."""
    fields, calibration = config.shrink, config.calibration
    measured = fields.layers is not None or fields.mlp is not None
    batches = calibration_batches(config, model) if measured else []
    names = {statistic.name for statistic in STATISTICS_OF_NEURONS}
    mixture = mixture_of(calibration.combine, calibration.weights, names, ", with shrink.mlp")
    if fields.mlp is not None:
        mixture.check(list(dict.fromkeys(code for batch in batches for code in batch.languages)))
    elif calibration.combine != SUM.name:
        raise invalid_value(
            "calibration.combine", calibration.combine, f"{SUM.name}; others only with shrink.mlp"
        )
    return Samples(batches, mixture, config.dtype)


def _write(
    model: Model,
    config: ShrinkConfig,
    texts: RunTexts,
    samples: Samples,
    folder: Path,
    expected: Shares | None,
) -> dict[str, Any]:
    """Writes the smaller model; returns its part of report.json."""
    clock = Clock()
    kept = choose(model, config.shrink, texts.chosen, samples, texts.words, expected)
    clock.lap("choose")
    smaller, narrow = write_smaller(model, kept, samples, folder, card=True)
    clock.lap("write")
    shrunk = report_on(model, smaller, kept, narrow, texts.chosen, texts.heldout)
    clock.lap("compare")
    lines = line_digests(line for lines in texts.chosen.values() for line in lines)
    return {
        "shrunk": shrunk,
        **text_record(config, model, samples.batches, lines),
        "origin": origin_of(model, config.model),
        "environment": environment(device_mesh()),
        "seconds": clock.rounded(),
    }


def print_smaller(config: Mapping[str, Any], report: Report, workdir: Path) -> None:
    """Prints the facts at the end of a run."""
    facts = run_facts(config, report)
    times = {"seconds": seconds(report["seconds"]["total"]), "written": "hf"}
    lines = ["", *named_values({**facts, **times})]
    if splits := split_table(report["shrunk"]):
        lines += ["", *table_lines(splits)]
    print("\n".join(lines))
