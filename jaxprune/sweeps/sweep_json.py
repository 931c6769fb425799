"""sweep.json: config and inputs of a sweep, which must not change until it is complete; rebuilding its tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from jaxprune.config import FIELDS, Config, config_of
from jaxprune.errors import InputError
from jaxprune.files import Hexadecimal, Scalar, read_as, write_json
from jaxprune.html_report import write_page
from jaxprune.sweeps.page import document
from jaxprune.sweeps.plan import flat
from jaxprune.sweeps.tables import sweep_tables
from jaxprune.sweeps.tables_json import SweepTables
from jaxprune.sweeps.write import write_tables

CONFIG = "sweep.json"
# Fields that may change between starts, as they only add variants or change devices. Complete variants stay.
_FREE = (
    "sweep.sparsities", "sweep.calibrations", "sweep.languages", "sweep.mixtures", "sweep.evaluate",
    "evaluation.languages", "evaluation.weights", "mesh.data",
)  # fmt: skip


class _Sweep(TypedDict):
    """sweep.json."""

    config: dict[str, Scalar]
    digests: NotRequired[dict[str, Hexadecimal]]


def read_sweep(file: Path) -> _Sweep | None:
    """The contents of sweep.json; None if absent."""
    try:
        return read_as(_Sweep, file)
    except InputError as error:
        raise InputError(f"{error}; allowed: another --workdir") from None


def check_same_sweep(config: Config, workdir: Path) -> None:
    """Rejects a workdir with variants of another config.

    Raises:
      InputError: names the first different field.
    """
    sweep = read_sweep(workdir / CONFIG)
    if sweep is None:
        return
    before = sweep["config"]
    for path, value in flat(config).items():
        # older sweeps lack newer fields, whose default they used
        old = before.get(path, FIELDS[path].default)
        if old != value and path not in _FREE and not _joins(path, before):
            raise InputError(
                f"{path}: got {value!r}; {workdir} contains a sweep with {old!r}; "
                "allowed: the same, with other sparsities, calibrations or languages, or "
                "another --workdir"
            )


def write_sweep(config: Config, workdir: Path, digests: Mapping[str, str]) -> None:
    """Writes sweep.json, with digests of all inputs; rejects inputs that have changed.

    Args:
      config: accepted by `check_same_sweep`.
      digests: SHA-256 by name of the model, sets of samples, and rows and texts by language.

    Raises:
      InputError: names the changed input.
    """
    sweep = read_sweep(workdir / CONFIG)
    before = sweep.get("digests", {}) if sweep else {}
    for name, digest in digests.items():
        if before.get(name, digest) != digest:
            raise InputError(
                f"{name}: has changed since the sweep in {workdir} began (SHA-256 {before[name][:12]}…, "
                f"now {digest[:12]}…); allowed: another --workdir"
            )
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(workdir / CONFIG, {"config": flat(config), "digests": {**before, **digests}})


def is_sweep(workdir: Path) -> bool:
    """Whether a folder is the workdir of a sweep."""
    return (workdir / CONFIG).is_file()


def rebuild(workdir: Path) -> SweepTables:
    """Rebuilds tables and page of a sweep from its scores alone.

    Args:
      workdir: has sweep.json and the folders of scores of each variant; no model, text or masks are read.

    Raises:
      InputError: a variant or a task is missing, or a file is damaged.
    """
    sweep = read_sweep(workdir / CONFIG)
    if sweep is None:
        raise InputError(f"{workdir / CONFIG}: missing; expected the --workdir of a sweep")
    defaults = {path: field.default for path, field in FIELDS.items()}
    config = config_of(defaults | sweep["config"], prunes=False)
    return write_tables_and_page(config, workdir)


def write_tables_and_page(config: Config, workdir: Path) -> SweepTables:
    """Writes the tables and the page of a complete sweep."""
    sweep = sweep_tables(config, workdir)
    write_tables(sweep, workdir)
    write_page(document(sweep), workdir / "report.html")
    return sweep


def _joins(path: str, before: Mapping[str, Any]) -> bool:
    """Whether no result so far depends on a field, as the evaluation that reads it was not requested."""
    if path in ("evaluation.translation", "evaluation.translation_rows", "evaluation.beams"):
        return before.get("evaluation.translation") is None
    if path in ("evaluation.perplexity", "evaluation.perplexity_lines"):
        return before.get("evaluation.perplexity") is None
    return path == "calibration.code" and before.get(path) is None
