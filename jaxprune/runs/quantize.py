"""A config → a workdir with the quantized model: model.gguf for llama.cpp, and the same weights in hf/."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.base.progress import Clock
from jaxprune.base.workdir.reading import GGUF, check_workdir
from jaxprune.data.batches import Batch, set_tokens
from jaxprune.devices import hosts
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.gguf.tokenizer import split_warning
from jaxprune.hf.gguf.write import write_gguf
from jaxprune.hf.model import Model, load
from jaxprune.pruning.quantization import check_grids, with_rounded_tables
from jaxprune.runs.card import model_card
from jaxprune.runs.identity import run_identity
from jaxprune.runs.lifecycle import open_run
from jaxprune.runs.pipeline import calibration_of, calibration_record, prune_to_run
from jaxprune.runs.planning.config import QuantizeConfig
from jaxprune.runs.run import Run
from jaxprune.runs.summary import print_summary
from jaxprune.stats.running import order_of_sums
from jaxprune.stats.stats import ActivationStats


def quantize_from_config(
    config: QuantizeConfig, workdir: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Runs a quantization, or resumes an interrupted one.

    Args:
      config: validated (`jaxprune.cli.config.validate`).
      workdir: receives model.gguf, hf/ with the same weights in float32, config.json and report.json.
      overwrite: see `prune_from_config`.

    Returns:
      The content of report.json.

    Raises:
      InputError: as `prune_from_config`; a grid whose blocks do not divide the inputs of a kernel; a model that
        llama.cpp does not have.
    """
    began = time.perf_counter()
    model = config.open_model()
    check_grids(model.config, config.quantize)  # before a tokenizer is needed
    batches, stats = calibration_of(config, model)
    report = quantize_to_workdir(
        model, batches, config, workdir, stats=stats, began=began, overwrite=overwrite
    )
    if hosts.is_first():
        print_summary(config, report, workdir)
    return report


def quantize_to_workdir(
    stored: Model,
    batches: Sequence[Batch],
    config: QuantizeConfig,
    workdir: Path,
    *,
    stats: ActivationStats | None = None,
    measured: Sequence[Any] | None = None,
    began: float | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """`quantize_from_config` for an open model and its samples; see `prune_to_workdir`.

    Args:
      measured: the errors of its grids, from the report of a run with another `quantize.size`; measured by default.
    """
    began = time.perf_counter() if began is None else began
    clock, fields, settings = Clock(began), config.quantize, config.settings
    model = with_rounded_tables(stored, fields)
    check_workdir(workdir, model.folder)
    mesh = device_mesh(config.mesh.data, config.mesh.model)
    running = order_of_sums(settings.method.statistics, mesh)
    identity = run_identity(
        model, config.json(), batches, {} if running is None else {"running sums": running},
        None if stats is None else stats.digest,
    )  # fmt: skip
    with open_run(
        workdir, [stored], identity, config.json(), began=began, overwrite=overwrite,
        card=model_card if config.output.card else None,
    ) as run:  # fmt: skip
        if run.result is None:
            if measured is not None:
                run.keep(measured=measured)
            text = calibration_record(config, model, batches)
            writer, report = prune_to_run(run, model, batches, config, mesh, stats, clock)
            for name in ("sparsity", "parameters"):
                del report[name]
            types = fields.types(model, run.record["measured"])
            quantized = {**vars(fields), "grids": types.by_layer, "errors": report.pop("errors")}
            report |= {"quantized": quantized, **text}
            if fields.size is not None:
                report["allocation"] = {"measured": run.record["measured"]}
            if warning := split_warning(stored):
                report["quantized"]["warning"] = warning
            tokens = set_tokens(batches) if stats is None else dict(stats.tokens)
            writer.close(report, tokens, checkpoints=False)
            save_gguf(run, report["quantized"])
            run.result = report
    return run.result


def save_gguf(run: Run, quantized: Mapping[str, Any]) -> None:
    """Writes model.gguf of the model in the `hf/` of an open run; all processes must call it.

    Args:
      quantized: as in report.json.
    """
    if hosts.is_first():
        write_gguf(load(run.folder / "hf"), types_of(quantized), run.folder / GGUF)
    hosts.wait("model.gguf")


def types_of(quantized: Mapping[str, Any]) -> Types:
    """The grids of a quantized model, from its record in report.json."""
    return Types(quantized["grid"], quantized["embedding"], quantized["grids"])
