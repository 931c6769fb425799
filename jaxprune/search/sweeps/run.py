"""The sweep: makes all variants, or a share of them; complete ones are kept."""

from pathlib import Path

from jaxprune.base.errors import InputError
from jaxprune.base.progress import say
from jaxprune.base.schema import OUTPUT_PATH, PATH, check, fields_of
from jaxprune.base.workdir.locks import LockedError, locked
from jaxprune.base.workdir.reading import check_workdir, read_report
from jaxprune.evaluation.translation.bleu import metrics_of
from jaxprune.search.sweeps.config import SweepConfig
from jaxprune.search.sweeps.result import SweepResult
from jaxprune.search.sweeps.runner import Runner
from jaxprune.search.sweeps.sweep_json import WORKERS, check_same_sweep, joined
from jaxprune.search.sweeps.variants import left_out_lines, variants
from jaxprune.search.sweeps.workers import make_all, shard_of, share_of_flag
from jaxprune.search.sweeps.write import rebuild, write_result
from jaxprune.steps.planning.checked import by_path, config_of


def sweep(model: str | Path, workdir: str | Path, **settings: object) -> SweepResult:
    """Prunes a model by every product of a grid, and evaluates each variant, as `jaxprune sweep` does.

    A repeated call resumes an interrupted sweep.

    Args:
      model: as in `jaxprune.load`.
      workdir: folder for the variants, measurements.csv, changes.csv and report.html.
      settings: fields of the config by keyword, those of a group in a dict; a list replaces names with commas.

    Returns:
      The variants' comparison with the dense model: `table` and `changes` are DataFrames with a column for each axis.
      Notebooks show it as tables.

    Raises:
      InputError: a setting that does not exist or that sweeps do not read, a value that is not allowed; a workdir of
        another sweep; errors in the data.

    Examples:
      >>> import jaxprune as jp
      >>> result = jp.sweep(
      ...     "nano", "runs/sweep",
      ...     calibration={"data": "nano", "samples": 2},
      ...     evaluation={"tasks": "nano_nli", "rows": 4},
      ...     sweep={"grid": {"pruning.criterion": ["magnitude"], "pruning.sparsity": [0.3, 0.6]}},
      ... )
      >>> list(result.table["pruning.sparsity"].dropna().unique())
      ['0.3', '0.6']
    """
    check("model", model, PATH)
    check("workdir", workdir, OUTPUT_PATH)
    fields = by_path({"model": str(model), **settings}, fields_of(SweepConfig))
    config = config_of(fields, SweepConfig)
    folder = Path(workdir).expanduser()
    return sweep_from_config(config, folder) or rebuild(folder)


def sweep_from_config(
    config: SweepConfig, workdir: Path, *, shard: str | None = None
) -> SweepResult | None:
    """Makes the missing variants of a sweep, with other workers of the same workdir, of which the last writes tables.

    Args:
      config: validated.
      workdir: receives a folder for each variant, measurements.csv, changes.csv and report.html.
        Complete variants are kept, damaged parts are repeated.
      shard: makes a share of the variants, and no tables; see `share_of_flag`.

    Returns:
      The comparison of all variants; None of a share, or if another worker writes its tables.

    Raises:
      InputError: config, model or data do not fit; the workdir has another sweep; no such share.
    """
    if read_report(workdir):
        raise InputError(f"--workdir: {workdir} contains a run; choose another folder")
    model = config.open_model()
    check_workdir(workdir, model.folder)
    check_same_sweep(config, workdir)
    runner = Runner(config, model, workdir)
    shard = None if shard is None else share_of_flag(shard)
    planned = runner.variants if shard is None else shard_of(runner.variants, shard)
    for line in left_out_lines(runner.left_out):
        say(f"sweep: {line}")
    runner.check()
    with joined(config, workdir, runner.digests, shard):  # after all inputs were checked
        make_all(planned, workdir, runner.is_whole, runner.make)
    if shard is not None:
        return None
    try:
        with locked(workdir, WORKERS):  # no worker is left
            return write_result(config, workdir)
    except LockedError:
        say("sweep: all variants are made; another worker writes the tables")
        return None


def print_plan(config: SweepConfig, shard: str | None = None) -> None:
    """Prints the names of the variants, of all or of a share, and the products that are left out.

    Raises:
      InputError: no product is valid, or the metrics of translations are not installed.
    """
    if config.evaluation.translation:
        metrics_of(config.calibration.target)
    made, left_out = variants(config)
    planned = made if shard is None else shard_of(made, share_of_flag(shard))
    names = (f"  {variant.name}" for variant in planned)
    print("\n".join([*left_out_lines(left_out), f"variants: {len(planned)}", *names]))
