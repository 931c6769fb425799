"""Statistics of a model → llama.cpp's importance matrix, the file that `llama-quantize --imatrix` reads."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxprune.base.errors import InputError
from jaxprune.base.schema import OUTPUT_PATH, check
from jaxprune.base.workdir.reading import read_config, read_report
from jaxprune.hf.gguf.architecture import check_architecture
from jaxprune.hf.gguf.tensors import tensor_names
from jaxprune.hf.model import Model, load
from jaxprune.models.model import family_of
from jaxprune.pruning.criterion import CODE
from jaxprune.runs.saved_stats import restore_stats
from jaxprune.stats.combine import combine as combine_languages
from jaxprune.stats.statistics import SQUARES
from jaxprune.stats.stats import ActivationStats


def save_imatrix(
    model: Model,
    stats: ActivationStats,
    file: str | Path,
    *,
    combine: str = "sum",
    weights: Mapping[str, float] | str | None = None,
) -> None:
    """Writes the mean squares of the inputs of every linear layer, of one language or several combined.

    Args:
      model: the model that was measured, of a family that llama.cpp has.
      stats: the result of `probe`, or the statistics of a run, with sums of squares.
      file: the file to write; must not exist.
      combine, weights: see `jaxprune.combine`; with combine="weights" and {"sw": 1} the matrix is that of Swahili.

    Raises:
      InputError: the file exists; llama.cpp has no such model; statistics of another model.
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
    combined = combine_languages(stats.of([r for r in stats.roles if r != CODE]), combine, weights)
    [key] = combined.sums
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.new")
    writer = gguf.GGUFWriter(unfinished, "")
    writer.add_type("imatrix")
    languages = [f"{role}/{code}" for role, codes in stats.languages.items() for code in codes]
    writer.add_array("imatrix.datasets", languages or [key.kind])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", int(combined.tokens[key]))
    for name, parameter, layer in tensor_names(model.config):
        kernel = parameter.removeprefix("blocks/")
        if kernel in sites:
            squares = combined.sums[key][sites[kernel]][SQUARES.name][layer]
            writer.add_tensor(f"{name}.in_sum2", np.asarray(squares, np.float32)[None])
            count = np.array([[combined.tokens[key]]], np.float32)
            writer.add_tensor(f"{name}.counts", count)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.replace(path)


def imatrix_of_run(run: Path, file: Path, combine: str, weights: str | None) -> None:
    """Writes the importance matrix of a finished run with saved statistics.

    Raises:
      InputError: no finished run, or one without statistics; see also `save_imatrix`.
    """
    report = read_report(run)
    if report is None or not (run / "stats").is_dir():
        raise InputError(
            f"{run}: no statistics; expected a finished run whose criterion or rounding reads sums of squares"
        )
    config = read_config(run, report)
    model = load(config["model"], config.get("revision"))
    save_imatrix(model, restore_stats(run / "stats"), file, combine=combine, weights=weights)
