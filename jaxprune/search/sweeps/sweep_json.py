"""sweep.json: config and inputs of a sweep, which must not change until it is complete."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flax.traverse_util import flatten_dict

from jaxprune.base.errors import InputError
from jaxprune.base.files.outside import read_json
from jaxprune.base.files.whole import write_json
from jaxprune.base.schema import fields_of
from jaxprune.base.workdir.locks import LockedError, locked
from jaxprune.runs.run import SWEEP
from jaxprune.search.sweeps.config import SweepConfig
from jaxprune.steps.planning.checked import config_of

CONFIG = SWEEP  # its name
SAMPLES = "calibration "  # begins the names of digests of sets of samples
# Names of locks: of the start of a worker, and of all workers.
_START, WORKERS = "start.lock", "workers.lock"
# Fields that may change between starts: those that only add or omit variants or evaluations, and those of sources,
# whose content is compared by digests.
_FREE = (
    "sweep.grid", "sweep.evaluate", "calibration.code", "evaluation.languages", "evaluation.perplexity",
    "evaluation.perplexity_lines", "evaluation.translation", "evaluation.translation_rows",
)  # fmt: skip
# Fields in which workers of one workdir may differ, so the file lacks them.
_PLACE = ("evaluation.weights", "mesh.data")


def _texts(config: SweepConfig) -> dict[str, Any]:
    """The values by path as in sweep.json."""
    texts = flatten_dict(config.json(), sep=".")
    return {path: texts[path] for path in fields_of(SweepConfig) if path not in _PLACE}


def begun_sweep(workdir: Path) -> dict[str, Any]:
    """The contents of sweep.json: values of the config by path, digests by name, and the shares that the workdir has.

    Raises:
      InputError: no sweep.json.
    """
    sweep = read_json(workdir / CONFIG)
    if not sweep:
        raise InputError(f"{workdir / CONFIG}: missing; expected the --workdir of a sweep")
    return sweep


def begun_config(workdir: Path) -> SweepConfig:
    """The config in sweep.json; rejects a workdir without it."""
    return config_of(begun_sweep(workdir)["config"], SweepConfig)


def begun_jobs(workdir: Path) -> dict[str, list[str]]:
    """The languages of all evaluations in sweep.json, by folder of scores."""
    languages: dict[str, list[str]] = {}
    for name in begun_sweep(workdir)["digests"]:
        folder, _, code = name.rpartition(" ")
        if folder and not name.startswith(SAMPLES):
            languages.setdefault(folder, []).append(code)
    return languages


def begun_shares(workdir: Path) -> Sequence[str]:
    """The shares i/n that a workdir has; empty: all of the sweep."""
    shares: list[str] = begun_sweep(workdir).get("shares", [])
    return shares


def check_same_sweep(config: SweepConfig, workdir: Path) -> None:
    """Rejects a workdir with variants of another config.

    Raises:
      InputError: names the first different field.
    """
    sweep = read_json(workdir / CONFIG)
    if not sweep:
        return
    # newer fields, which a sweep of an earlier version lacks, had their defaults
    before = _texts(config_of(sweep["config"], SweepConfig))
    for path, value in _texts(config).items():
        if value != before[path] and path not in _FREE:
            raise InputError(
                f"{path}: got {value!r}; {workdir} contains a sweep with {before[path]!r}; "
                "change sweep.grid alone, or choose another --workdir"
            )


@contextlib.contextmanager
def joined(
    config: SweepConfig, workdir: Path, digests: Mapping[str, str], shard: str | None
) -> Iterator[None]:
    """Joins the workers of a sweep, which all have its config; writes sweep.json if config, inputs or share are new.

    Args:
      config: config of the sweep.
      workdir: workdir of the sweep.
      digests: SHA-256 by name of the model, sets of samples, and rows and texts by language.
      shard: the share i/n that the worker makes; None: all variants.

    Raises:
      InputError: as `check_same_sweep`; an input that has changed; workers of another config are running.
    """
    with contextlib.ExitStack() as stack:
        with locked(workdir, _START, wait=True):
            check_same_sweep(config, workdir)
            is_new = not is_sweep(workdir)
            write_sweep(config, workdir, digests)
            _note_share(workdir, shard, is_new=is_new)
            # the last worker may be writing the tables
            stack.enter_context(locked(workdir, WORKERS, shared=True, wait=True))
        yield


def write_sweep(config: SweepConfig, workdir: Path, digests: Mapping[str, str]) -> None:
    """Writes sweep.json, unless it is the same; rejects inputs that have changed."""
    sweep = read_json(workdir / CONFIG)
    before = sweep["digests"] if sweep else {}
    for name, digest in digests.items():
        if before.get(name, digest) != digest:
            raise InputError(
                f"{name}: has changed since the sweep in {workdir} began (SHA-256 {before[name][:12]}…, "
                f"now {digest[:12]}…); choose another --workdir"
            )
    new = {**sweep, "config": _texts(config), "digests": {**before, **digests}}
    if sweep == new:
        return
    try:
        with locked(workdir, WORKERS):
            write_json(workdir / CONFIG, new)
    except LockedError:
        raise InputError(
            f"--workdir: workers of this sweep with other variants are running in {workdir}; "
            "use their config, or wait for their end"
        ) from None


def _note_share(workdir: Path, shard: str | None, *, is_new: bool) -> None:
    """Adds a share to those that the workdir has, so that `jaxprune status` counts their variants alone."""
    shares = begun_shares(workdir)
    now = [] if shard is None or not (is_new or shares) else sorted({*shares, shard})
    if now != shares:
        write_json(workdir / CONFIG, {**begun_sweep(workdir), "shares": now})


def is_sweep(workdir: Path) -> bool:
    """Whether a folder is the workdir of a sweep."""
    return (workdir / CONFIG).is_file()
