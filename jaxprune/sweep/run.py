"""The sweep: every variant pruned, evaluated and let go of before the next; what is there already is kept."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from tqdm import tqdm

from jaxprune.config import FIELDS
from jaxprune.devices import device_mesh
from jaxprune.errors import InputError
from jaxprune.evaluation import (
    AskedTask,
    clear_folders,
    evaluate_task,
    facts,
    protocol_of,
    read_tasks,
    scorer_of,
    translations,
)
from jaxprune.evaluation.generation import Generator
from jaxprune.evaluation.translation import TRANSLATION, Sentences, evaluate_translation
from jaxprune.files import read_json, write_json
from jaxprune.hf import Model, load
from jaxprune.runs import prune_to_workdir
from jaxprune.sweep import page, text
from jaxprune.sweep.calibration import Samples, sets
from jaxprune.sweep.masked import masked
from jaxprune.sweep.plan import (
    LRP2,
    Variant,
    check,
    evaluation_languages,
    flat,
    jobs,
    task_languages,
    variant_config,
    variants,
)
from jaxprune.sweep.steering import Steering, check_data
from jaxprune.sweep.tables import tables

CONFIG = "sweep.json"
# Of a translation, as many as in the authors' script.
NEW_TOKENS = 64
# What may change from one start to the next: what is made grows, or runs elsewhere. What is there stays.
_FREE = (
    "sweep.sparsities", "sweep.calibrations", "sweep.languages", "evaluation.languages",
    "evaluation.weights", "mesh.data",
)  # fmt: skip

Jobs = Mapping[str, list[str]]  # task → languages


def sweep_from_config(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs what is left of a sweep and writes its tables.

    Args:
      config: validated.
      workdir: gets a folder for each variant, `stats/` (with `pruning.propagate=dense`), tables.md, tables.csv,
        tables.json and report.html. A variant that is whole is not made again.

    Returns:
      What tables.json holds.

    Raises:
      InputError: anything in config, model or data that does not fit; a workdir of another sweep.
    """
    check(config)
    wanted = variants(config)
    if any(variant.calibration == LRP2 for variant in wanted):
        check_data(config.evaluation.data)
    remember(config, workdir)
    left = [one for one in wanted if not is_whole(one, workdir, jobs(one, config))]
    if left:
        _run(left, len(wanted), config, workdir)
    found = tables(config, workdir)
    text.write(found, workdir)
    page.write(found, workdir)
    text.show(found, workdir)
    return found


def remember(config: ConfigDict, workdir: Path) -> None:
    """Writes the config down; refuses a workdir that holds variants of another one.

    Raises:
      InputError: names the first field that differs.
    """
    now = {path: value for path, value in flat(config).items() if path not in _FREE}
    file = workdir / CONFIG
    if file.is_file():
        try:
            before = json.loads(file.read_text(encoding="utf-8"))["config"]
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{file}: broken; allowed: another --workdir") from None
        for path in now:
            # a field that was added since has its default in what is there
            old = before.get(path, FIELDS[path].default)
            if old != now[path] and not _joins(path, before):
                raise InputError(
                    f"{path}: got {now[path]!r}; {workdir} holds a sweep with {old!r}; "
                    "allowed: the same, with other sparsities, calibrations or languages, or "
                    "another --workdir"
                )
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(file, {"config": flat(config)})


def _joins(path: str, before: Mapping[str, Any]) -> bool:
    """Whether nothing that is there depends on a field, since what needs it was not asked for."""
    if path in ("evaluation.translation", "evaluation.translation_rows", "evaluation.beams"):
        return before.get("evaluation.translation") is None
    return path == "calibration.code" and before.get(path) is None


def is_whole(variant: Variant, workdir: Path, wanted: Jobs) -> bool:
    """Whether a variant is pruned and evaluated."""
    folder = workdir / variant.name
    pruned = variant.sparsity is None or (folder / "report.json").is_file()
    return pruned and not _missing(folder, wanted)


def _missing(folder: Path, wanted: Jobs) -> list[str]:
    """The tasks that are not there in all their languages."""
    return [name for name, codes in wanted.items() if not {*codes} <= _there(folder / name)]


def _there(folder: Path) -> set[str]:
    return {*read_json(folder / "metrics.json").get("languages", {})}


def _run(left: Sequence[Variant], count: int, config: ConfigDict, workdir: Path) -> None:
    runner = Runner(config, workdir)
    bar = tqdm(
        total=len(left),
        bar_format="sweep {desc} {n_fmt}/{total_fmt} |{bar}| {elapsed} < {remaining}",
    )
    with bar:
        for number, variant in enumerate(left, start=count - len(left) + 1):
            bar.set_description_str(f"{variant.name} ({number} of {count})")
            runner.make(variant)
            bar.update()


class Runner:
    """Makes variants of one model, one at a time.

    Args:
      config: of the sweep.
      workdir: of the sweep.
    """

    def __init__(self, config: ConfigDict, workdir: Path) -> None:
        self._config, self._workdir = config, workdir
        self._asked = {one.task.name: one for one in self._read()}
        self._model = load(config.model, config.revision)

    def _read(self) -> list[AskedTask]:
        wanted, found = self._config.evaluation, []
        names = [name.strip() for name in wanted.tasks.split(",") if name.strip()]
        for name, codes in zip(names, task_languages(self._config).values(), strict=True):
            found += read_tasks(
                [name], protocol=protocol_of(self._config), languages=codes, data=wanted.data,
                rows=wanted.rows, seed=self._config.seed,
            )  # fmt: skip
        return found

    @functools.cached_property
    def _samples(self) -> Samples:
        return Samples(self._config, self._model, self._workdir)

    def make(self, variant: Variant) -> None:
        """Prunes and evaluates, as far as that is not done."""
        folder, model = self._workdir / variant.name, self._model
        if variant.sparsity is not None:
            if not (folder / "report.json").is_file():
                self._prune(variant, folder)
            model = masked(model, folder)
        wanted = jobs(variant, self._config)
        missing = {name: wanted[name] for name in _missing(folder, wanted)}
        translated = missing.pop(TRANSLATION, None)
        if missing:
            clear_folders(folder, list(missing))
            self._evaluate(variant, model, folder, missing)
        if translated:
            self._translate(variant, model, folder, translated)

    def _prune(self, variant: Variant, folder: Path) -> None:
        batches = self._samples.batches(variant) if sets(variant) else []
        stats = self._samples.stats(variant) if sets(variant) else None
        prune_to_workdir(
            self._model, batches, variant_config(self._config, variant), folder, stats=stats
        )

    def _evaluate(self, variant: Variant, model: Model, folder: Path, wanted: Jobs) -> None:
        scorer, score = scorer_of(model, self._config), None
        asked = [_only(self._asked[name], codes) for name, codes in wanted.items()]
        about = facts(self._config) | {"variant": variant.name}
        if variant.calibration == LRP2:
            steering = Steering(self._config, scorer, asked, folder)
            score, about = steering.scores(), about | {"layers": steering.pairs}
        for one in asked:
            evaluate_task(scorer, one, folder, about, score)

    def _translate(
        self, variant: Variant, model: Model, folder: Path, codes: Sequence[str]
    ) -> None:
        config = self._config
        mesh = device_mesh(**config.mesh)
        about = facts(config) | {
            "variant": variant.name,
            "data": config.evaluation.translation,
        }
        evaluate_translation(
            Generator(model, dtype=config.dtype, mesh=mesh),
            {code: self._sentences[code] for code in codes},
            folder,
            beams=config.evaluation.beams,
            max_new_tokens=NEW_TOKENS,
            about=about,
        )

    @functools.cached_property
    def _sentences(self) -> dict[str, Sentences]:
        return translations(self._config, evaluation_languages(self._config))


def _only(asked: AskedTask, codes: list[str]) -> AskedTask:
    kept = {code: asked.languages[code] for code in codes}
    return AskedTask(asked.task, asked.protocol, asked.data, kept)
