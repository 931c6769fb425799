"""A config → `<workdir>/analysis`: the largest features of each kind of demonstration by layer, language neurons."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.analysis.config import AnalyzeConfig
from jaxprune.analysis.magnitudes import demonstration_sets, measure, split_halves
from jaxprune.analysis.mask_overlap import MaskOverlap, overlap_of_runs
from jaxprune.analysis.neurons import language_neurons
from jaxprune.analysis.summary import analysis_summary, compare_sets
from jaxprune.analysis.tables import write_csv, write_magnitudes, write_neurons, write_overlaps
from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.files.places import local_path
from jaxprune.base.files.whole import short_names, write_json
from jaxprune.base.progress import Clock
from jaxprune.base.text import columns, count, fraction, percent
from jaxprune.data.batches import digest
from jaxprune.data.texts import chosen_languages
from jaxprune.devices import hosts
from jaxprune.devices.machine import environment
from jaxprune.devices.sharding import device_mesh
from jaxprune.pages import analysis_pictures
from jaxprune.report.charts.chart import write_png
from jaxprune.runs.run import open_workdir
from jaxprune.stats.stats import ActivationStats
from jaxprune.stats.walk import HIDDEN

# The share in the authors' figures; their code ignores the share that is set.
_OFFICIAL_TOP = 0.4
Masks = dict[tuple[str, str], MaskOverlap]


def analyze_from_config(config: AnalyzeConfig, workdir: Path) -> dict[str, Any]:
    """Measures the features of the dense model on demonstrations of every language, and compares masks of runs.

    Args:
      config: validated. The demonstrations of each of `analysis.languages` are monolingual, and translations into
        `calibration.target`.
      workdir: analysis/ is written there, by process 0, and replaces an earlier one. analysis.json is written last,
        so an analysis that contains it is complete.

    Returns:
      The content of analysis.json; empty in other processes than the first.

    Raises:
      InputError: config, model, data or runs are invalid or do not match; processes have different jobs.
    """
    clock = Clock()
    options, calibration = config.analysis, config.calibration
    folder = workdir / "analysis"
    manifest.check_replaceable(folder, overwrite=True)
    codes = chosen_languages(options.languages, calibration.data, calibration.target)
    mesh = device_mesh(config.mesh.data, config.mesh.model)
    model = config.open_model()
    masks = _masks(options.masks, workdir)
    batches = demonstration_sets(model.tokenizer, calibration, codes, config.seed, config.compat)
    content = digest(batches)
    identity = {
        "model": model.source.fingerprint.digest, "calibration": content, "dtype": config.dtype,
    }  # fmt: skip
    with open_workdir(workdir, identity):
        stats = measure(
            model, batches, dtype=config.dtype, mesh=mesh, halves=True, neurons=True,
            progress=hosts.is_first(),
        )  # fmt: skip
        if not hosts.is_first():
            return {}
        facts = {
            "languages": codes, "target": calibration.target, "digest": content,
            "environment": environment(mesh), "config": config.json(),
        }  # fmt: skip
        with manifest.whole_folder(folder) as filled:
            summary = _write(filled, stats, masks, config, clock) | facts
            write_json(filled / "analysis.json", summary)
    print_summary(config.model, summary, folder)
    return summary


def _write(
    folder: Path, measured: ActivationStats, masks: Masks, config: AnalyzeConfig, clock: Clock
) -> dict[str, Any]:
    """Writes the tables and pictures of an analysis; returns their summary."""
    options = config.analysis
    stats, halves = split_halves(measured)
    share = _OFFICIAL_TOP if config.compat == "official" else options.top
    overlaps = compare_sets(stats, share, halves)
    alone = [role for role in stats.roles if role.startswith("monolingual/")]
    neurons = language_neurons(stats.of(alone), options.neurons) if len(alone) > 1 else None
    write_magnitudes(folder, stats)
    write_overlaps(folder, stats.roles, overlaps)
    if masks:
        _write_masks(folder, masks)
    if neurons is not None:
        write_neurons(folder, neurons)
    clock.lap("tables")
    (folder / "figures").mkdir()
    for name, chart in analysis_pictures.charts(stats, overlaps, masks, neurons):
        write_png(chart, folder / "figures" / f"{name}.png")
    clock.lap("figures")
    pairs = [
        {"runs": [*pair], "iou": overlap.overall, "chance": overlap.independent}
        for pair, overlap in masks.items()
    ]
    return analysis_summary(stats, overlaps, neurons) | {
        **({"masks": pairs} if pairs else {}),
        "top": {"requested": options.top, "used": share},
        "seconds": clock.rounded(),
    }


def _masks(names: Sequence[str] | None, workdir: Path) -> Masks:
    """The overlap of the masks of each pair of the runs in `analysis.masks`, and of the workdir if it has masks."""
    if names is None:
        return {}
    runs = {folder.resolve(): folder for folder in map(local_path, names)}
    if len(runs) < len(names):
        raise InputError("analysis.masks: a run is given twice; expected each once")
    if (workdir / "checkpoint").is_dir():
        runs = {workdir.resolve(): workdir, **runs}
    if len(runs) < 2:
        raise InputError("analysis.masks: one run; expected two or more, including the workdir")
    pairs: Masks = {}
    named_runs = zip(short_names([*runs]), runs.values(), strict=True)
    for (first, folder_a), (second, folder_b) in itertools.combinations(named_runs, 2):
        try:
            pairs[first, second] = overlap_of_runs(folder_a, folder_b)
        except InputError as error:
            raise InputError(f"analysis.masks: {first}, {second}: {error}") from error
    return pairs


def _write_masks(folder: Path, masks: Masks) -> None:
    """Writes masks.csv: IoU of each pair of runs, overall with the IoU of independent masks, by layer and by kernel."""
    rows: list[tuple[Any, ...]] = []
    for pair, overlap in masks.items():
        rows.append((*pair, "all", overlap.overall, overlap.independent))
        rows += [(*pair, layer, iou, None) for layer, iou in enumerate(overlap.layers)]
        rows += [(*pair, kernel, iou, None) for kernel, iou in overlap.kernels.items()]
    write_csv(folder / "masks.csv", ("run_a", "run_b", "part", "iou", "chance"), rows)


def print_summary(model: str, summary: Mapping[str, Any], folder: Path) -> None:
    """Prints the table at the end of an analysis."""
    hidden = summary["overlap"][HIDDEN]
    top = f"{100 * summary['top']['used']:g}%"
    tokens = summary["tokens"]
    print(f"\n  {model}: {len(tokens)} sets, {count(sum(tokens.values()))} tokens")
    print(
        f"  blocks' outputs: % of the largest {top} ({hidden['features']} features) of one set that are among\n"
        f"  the largest and the smallest {top} of another, mean over languages and layers\n"
    )
    halves = hidden["halves"]
    rows = [
        [name, percent(share), percent(overlap["top_in_bottom"][name])]
        for overlap in (hidden, halves)
        for name, share in overlap["top_in_top"].items()
    ]
    rows.append(["unrelated", *[percent(hidden["chance"])] * 2])
    for line in columns(["", "largest", "smallest"], rows):
        print(f"  {line}")
    if not halves["top_in_top"]:
        print("  halves are not compared: a set has only one sample")
    print()
    for pair in summary.get("masks", []):
        names, unrelated = " and ".join(pair["runs"]), fraction(pair["chance"])
        print(f"  masks of {names}: IoU {fraction(pair['iou'])}, unrelated {unrelated}")
    if neurons := summary.get("language_neurons"):
        chance = (
            "" if neurons["by_chance"] is None else f"; by chance: {count(neurons['by_chance'])}"
        )
        numbers = (f"{code} {count(n['neurons'])}" for code, n in neurons["languages"].items())
        print(f"  language neurons of {count(neurons['of'])}: {', '.join(numbers)}{chance}")
    print(f"  written: {folder.name}")
