"""A run of pruning, recovery or shrinking: opened, or complete already; ended with the facts that every report has."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.base.files import manifest
from jaxprune.base.workdir.reading import GGUF
from jaxprune.devices import hosts
from jaxprune.devices.machine import peak_memory
from jaxprune.hf.fingerprint import exported_digest
from jaxprune.hf.model import Model
from jaxprune.runs.run import Run
from jaxprune.runs.run import open_run as open_identified_run


@contextlib.contextmanager
def open_run(
    workdir: Path,
    models: Sequence[Model],
    identity: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    began: float,
    overwrite: bool,
    card: Callable[[Any, Any], str] | None = None,
) -> Iterator[Run]:
    """The run of a workdir. If it is not complete yet, the block fills its folder and sets `result`.

    Args:
      workdir, identity, config, overwrite: see `runs.open_run`.
      models: models that the run reads, the dense one first; their files must not change during the run.
      began: `time.perf_counter()` at the start.
      card: config, the whole report → the model card of `hf/`; by default it has none.

    Raises:
      InputError: as `runs.open_run`; the files of a model have changed.
    """
    with open_identified_run(workdir, identity, config, overwrite=overwrite) as run:
        if run.result is not None:
            if hosts.is_first():
                print("this run is complete; --overwrite repeats the run")
            yield run
            return
        yield run
        result = run.result
        assert result is not None
        for model in models:
            model.source.fingerprint.check_unchanged()
        hosts.wait("unchanged")
        result["seconds"]["total"] = round(time.perf_counter() - began, 3)
        result["peak_memory_bytes"] = peak_memory()
        result["identity"] = identity
        result |= _about_files(models[0], run.folder)
        hosts.wait("reported")  # the folder that all have read is renamed
        if card and hosts.is_first():
            manifest.replace_card(run.folder / "hf", card(config, result))


def _about_files(model: Model, folder: Path) -> dict[str, dict[str, Any]]:
    """The digests of the dense model and of the exported one, if any, and the bytes of their weights."""
    exported, quantized = folder / "hf", folder / GGUF
    source = model.source.fingerprint
    read = {path: state for path, state in source.states.items() if path.name in source.digests}
    weights = [state.size for path, state in read.items() if path.name != "config.json"]
    digests = {"dense": source.digest}
    sizes = {"dense": sum(weights)}
    if exported.is_dir():
        table = manifest.table(exported)
        digests["hf"] = exported_digest(table)
        written = [size for name, (size, _) in table.items() if name.endswith(".safetensors")]
        sizes["hf"] = sum(written)
    if quantized.is_file():
        sizes[GGUF] = quantized.stat().st_size
    return {"models": digests, "weight_bytes": sizes}
