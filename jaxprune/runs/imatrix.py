"""Statistics of a model → llama.cpp's importance matrix, the file that `llama-quantize --imatrix` reads."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.schema import OUTPUT_PATH, check
from jaxprune.base.workdir.reading import read_config, read_report
from jaxprune.hf.gguf.architecture import check_architecture
from jaxprune.hf.gguf.tensors import tensor_names
from jaxprune.hf.model import Model, load
from jaxprune.models.model import family_of
from jaxprune.pruning.criterion import CODE
from jaxprune.stats.combine import combine as combine_languages
from jaxprune.stats.statistics import SQUARES
from jaxprune.stats.stats import HEAD, ActivationStats
from jaxprune.steps.saved_stats import restore_stats


def save_imatrix(
    model: Model,
    stats: ActivationStats,
    file: str | Path,
    *,
    languages: Sequence[str] = (),
    combine: str = "sum",
    weights: Mapping[str, float] | str | None = None,
) -> None:
    """Writes the mean squares of the inputs of every linear layer, of one language or several combined.

    Args:
      model: the model that was measured, of a family that llama.cpp has.
      stats: the result of `probe`, or the statistics of a run, with sums of squares. The head is in the matrix if
        `probe` measured it, also one that is tied to the embedding.
      file: the file to write; must not exist.
      languages: codes of the languages that count; by default all.
      combine, weights: combination of these languages, see `jaxprune.combine`.

    Raises:
      InputError: the file exists; llama.cpp has no such model; statistics of another model, or without a language.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> batches = jp.demonstrations(model.tokenizer, "nano", source="fr,sw", samples=8)
      >>> stats = jp.probe(model, batches, head=True, progress=False)
      >>> jp.save_imatrix(model, stats, "runs/example/swahili.gguf", languages=["sw"])
    """
    import gguf  # late: only GGUF files need it

    check("file", file, OUTPUT_PATH)
    path = Path(file).expanduser()
    if path.exists():
        raise InputError(f"{path}: already exists; choose another name")
    check_architecture(model.config)
    sites = family_of(model.config).sites
    if dict(stats.sites) != dict(sites):
        raise InputError(
            f"stats: of another model than {model.folder}; expected the one that was measured"
        )
    measured = _of_languages(stats, languages)
    combined = combine_languages(measured, combine, weights)
    [key] = combined.sums
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.new")
    writer = gguf.GGUFWriter(unfinished, "")
    writer.add_type("imatrix")
    names = ["/".join(filter(None, own)) for own in measured.sums]
    writer.add_array("imatrix.datasets", names)
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", int(combined.tokens[key]))
    measured_sites = {f"blocks/{kernel}": site for kernel, site in sites.items()}
    if HEAD in combined.sums[key]:
        measured_sites["embed/tokens" if model.config.tied_head else "head/kernel"] = HEAD
    for name, parameter, layer in tensor_names(model.config):
        if site := measured_sites.get(parameter):
            squares = combined.sums[key][site][SQUARES.name][layer]
            writer.add_tensor(f"{name}.in_sum2", np.asarray(squares, np.float32)[None])
            count = np.array([[combined.tokens[key]]], np.float32)
            writer.add_tensor(f"{name}.counts", count)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.replace(path)


def _of_languages(stats: ActivationStats, languages: Sequence[str]) -> ActivationStats:
    """The statistics of some languages, by default all, without code."""
    sums = {key: sites for key, sites in stats.sums.items() if key.kind != CODE}
    codes = [key.language for key in sums]
    for code in languages:
        if code not in codes:
            raise invalid_value("languages", code, codes, choices=codes)
    sums = {key: sites for key, sites in sums.items() if not languages or key.language in languages}
    return dataclasses.replace(stats, sums=sums, tokens={key: stats.tokens[key] for key in sums})


def imatrix_of_run(run: Path, file: Path, **options: Any) -> None:
    """Writes the importance matrix of a finished run with saved statistics.

    Args:
      options: those of `save_imatrix`.

    Raises:
      InputError: no finished run, or one without statistics; see also `save_imatrix`.
    """
    report = read_report(run)
    if report is None or not (run / "stats").is_dir():
        raise InputError(
            f"{run}: no statistics; expected a finished run whose criterion or rounding reads sums of squares"
        )
    config = read_config(run, report)
    model = load(config["model"], config.get("revision"), tokenizer=config.get("tokenizer"))
    save_imatrix(model, restore_stats(run / "stats"), file, **options)
