"""Statistics of a run or of `probe` on disk, with the model on which they were measured."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from jaxprune.base.errors import InputError
from jaxprune.base.files.places import local_path
from jaxprune.base.schema import OUTPUT_PATH, check
from jaxprune.base.workdir.differences import shortened
from jaxprune.data.batches import SetKey
from jaxprune.hf.model import Model
from jaxprune.hf.orbax_folder import restore_json, restore_tree, save_trees, whole
from jaxprune.stats.statistics import STATISTICS
from jaxprune.stats.stats import ActivationStats, MeasuredOn


def save_stats(path: str | Path, stats: ActivationStats, model: Model | None = None) -> None:
    """Writes the sums and token counts of each set, the table of sites, and the record of their measurement.

    Args:
      model: the model of `probe` or `prune`; without it the statistics cannot be used for `calibration.stats`.

    Raises:
      InputError: statistics of another model, or of an unknown one.
    """
    check("path", path, OUTPUT_PATH)
    sets = [(key.kind, key.language, int(stats.tokens[key])) for key in stats.sums]
    metadata: dict[str, Any] = {"sets": sets, "sites": [list(pair) for pair in stats.sites]}
    if model is not None:
        if stats.measured_on is None or stats.measured_on.model != model.source.fingerprint.digest:
            raise InputError(
                f"stats: measured on another model than {model.folder}, or an unknown one; expected the model of "
                "jaxprune.probe or jaxprune.prune"
            )
        metadata["measured_on"] = _measured_with(stats.measured_on, model)
    sums = {str(number): sites for number, sites in enumerate(stats.sums.values())}
    save_trees(Path(path), {"sums": sums}, metadata, overwrite=False)


def _measured_with(measured_on: MeasuredOn, model: Model) -> dict[str, str]:
    """The record of a measurement, with the SHA-256 of the tokenizer's rules, empty without a tokenizer."""
    tokenizer = model.tokenizer_digest if model.has_tokenizer else ""
    return {**measured_on._asdict(), "tokenizer": tokenizer}


def stats_for(
    place: str | Path, model: Model, dtype: str, statistics: Collection[str]
) -> ActivationStats:
    """Saved statistics of this dense model, for masks without a pass.

    Args:
      place: a finished run, or a folder of `save_stats`.
      dtype: dtype of the weights on the devices.
      statistics: names of the statistics that are needed.

    Raises:
      InputError: statistics of another model, tokenizer, dtype or propagation, or without one that is needed.
    """
    where, folder = f"calibration.stats: {place}", local_path(place)
    if (folder / "stats").is_dir():
        folder = folder / "stats"
    if unsaved := [name for name in statistics if not STATISTICS[name].persisted]:
        raise InputError(
            f"{where}: a run saves no {unsaved[0]}, which the criterion needs; measure without stats"
        )
    got = restore_json(whole(folder)).get("measured_on")
    if got is None:
        raise InputError(
            f"{where}: no record of the model; save them by save_stats(path, stats, model)"
        )
    dense = MeasuredOn(model.source.fingerprint.digest, dtype, "dense")
    for name, value in _measured_with(dense, model).items():
        if got.get(name) != value:
            raise InputError(
                f"{where}: measured with {name} {shortened(got.get(name))}; expected {shortened(value)}, as here"
            )
    return restore_stats(folder)


def restore_stats(path: str | Path) -> ActivationStats:
    """Reads the statistics of `save_stats` onto the host; InputError without a complete checkpoint.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
      >>> stats = jp.probe(model, batches, progress=False)
      >>> jp.checkpoint.save_stats("runs/example/stats", stats)
      >>> jp.checkpoint.restore_stats("runs/example/stats").count == stats.count
      True
    """
    folder = whole(Path(path))
    metadata = restore_json(folder)
    if "sets" not in metadata:
        raise InputError(f"{path}: contains no statistics; expected a folder of save_stats")
    sites = tuple((kernel, site) for kernel, site in metadata["sites"])
    tokens = {SetKey(kind, language): number for kind, language, number in metadata["sets"]}
    sums = restore_tree(folder / "sums", None)
    by_set = {key: sums[str(number)] for number, key in enumerate(tokens)}
    record = metadata.get("measured_on")
    measured_on = record and MeasuredOn(record["model"], record["dtype"], record["propagate"])
    return ActivationStats(by_set, tokens, sites, measured_on)
