"""A smaller model of a run, and the dense model that teaches it → the recovered smaller model in a workdir."""

import importlib.metadata
from pathlib import Path
from typing import Any

import jax

from jaxprune import ledger
from jaxprune.calibration import by_kind, by_language, sampled_lines, set_tokens
from jaxprune.devices import device_mesh, hosts
from jaxprune.files import read_json, sealed
from jaxprune.hf import HfWriter, Model, load, origin_of
from jaxprune.ledger import CONFIG, Report
from jaxprune.progress import Clock
from jaxprune.recovery import recover_blocks, whole_layers
from jaxprune.runs.job import about_files
from jaxprune.runs.machine import environment, peak_memory
from jaxprune.runs.outputs import OUTPUTS
from jaxprune.runs.pipeline import calibration_batches
from jaxprune.runs.planning import RecoverConfig
from jaxprune.runs.saved_fit import saved_fit
from jaxprune.runs.shrink import print_smaller
from jaxprune.runs.smaller_card import smaller_card
from jaxprune.shrinking import teacher_of

# The parts of a config that it reads.
_READ = ("model", "revision", "dtype", "compat", "seed", "calibration", "mesh", "recovery")


def recover_smaller(
    config: RecoverConfig,
    model: Model,
    run: Path,
    before: Report,
    workdir: Path,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fits the smaller model of a run to the dense model's predictions, or resumes that.

    Args:
      config: see `recover_from_config`, without choices of statistics.
      model: the dense model.
      run: a finished run of `shrink`.
      before: its report.

    Returns:
      The content of report.json.
    """
    clock = Clock()
    smaller = load(run / "hf")
    ledger.check_workdir(workdir, model.folder, OUTPUTS)
    batches, fields = calibration_batches(config, smaller), config.recovery
    more = {f"config.recovery.{name}": value for name, value in vars(fields).items()}
    more |= {"config.recovery.run": model.source.fingerprint.digest}
    more |= {"optax": importlib.metadata.version("optax")}
    more["gradients"] = f"{jax.process_count()} processes"  # the order of their sums
    every = config.json()
    identity = ledger.run_identity(smaller, every, batches, more)
    ledger.agree(identity)
    if not overwrite and (complete := ledger.complete_run(workdir, identity)):
        if hosts.is_first():
            print(f"{workdir} is complete; --overwrite repeats the run")
        return dict(complete)
    mesh = device_mesh(config.mesh.data, config.mesh.model)
    losses = list[tuple[float, float]]()
    with ledger.unfinished_run(workdir, identity, {}, OUTPUTS, overwrite) as folder:
        writer = HfWriter(smaller, folder / "hf") if hosts.is_first() else None
        if writer:
            writer.copy_unpruned()
        clock.lap("prepare")
        for block in recover_blocks(
            smaller, batches, whole_layers(smaller.config), fields, teacher=teacher_of(model, smaller),
            dtype=config.dtype, seed=config.seed, mesh=mesh, progress=hosts.is_first(), saved=saved_fit(folder),
        ):  # fmt: skip
            if writer:
                writer.write_block(block.params, block.layer)
            losses += [block.finished.loss] if block.finished.loss else []
        if writer:
            writer.close("")
        clock.lap("recover")
        for source in (model.source, smaller.source):
            source.fingerprint.check_unchanged()
        hosts.wait("unchanged")
        tokens, seconds = set_tokens(batches), clock.take()
        seconds = {**seconds, "total": sum(seconds.values())}
        report: Any = {
            **_about(config, model, run, before, folder / "hf"),
            "losses": losses,
            "tokens": by_kind(tokens),
            "languages": by_language(tokens),
            "environment": environment(mesh),
            "peak_memory_bytes": peak_memory(),
            "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
            "identity": identity,
        }
        read = {name: every[name] for name in _READ}
        hosts.wait("reported")  # publishing renames the folder that all have read
        if hosts.is_first():
            sealed.replace_card(folder / "hf", smaller_card(read, report))
            report = ledger.publish(folder, workdir, OUTPUTS, read, report)
            print_smaller(report, workdir)
    return dict(report)


def _about(
    config: RecoverConfig, model: Model, run: Path, before: Report, written: Path
) -> dict[str, Any]:
    """The parts of a report on models and texts."""
    lines = sampled_lines(config.calibration, config.seed, config.compat)
    return {
        # a recovered model that is recovered again keeps the config that made it smaller
        "shrunk": {"config": read_json(run / CONFIG), **before["shrunk"]},
        **about_files(model, written),
        "calibration_lines": sorted({*lines, *before["calibration_lines"]}),
        "origin": origin_of(model, config.model),
    }
