"""The sweep: every variant pruned, evaluated and let go of before the next; what is there already is kept."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_collections import ConfigDict
from tqdm import tqdm

from jaxprune.devices import device_mesh
from jaxprune.evaluation import (
    TaskQuestions,
    clear_folders,
    evaluate_perplexity,
    evaluate_task,
    facts,
    plain_texts,
    protocol_of,
    read_tasks,
    scorer_of,
    translations,
)
from jaxprune.evaluation.comparison import read_metrics
from jaxprune.evaluation.generation import Generator
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.evaluation.translation import TRANSLATION, Sentences, evaluate_translation
from jaxprune.files import sealed
from jaxprune.hf import Model, load
from jaxprune.pruning import under_masks
from jaxprune.runs import REPORT, check_workdir, checkpoint, is_complete, prune_to_workdir
from jaxprune.sweep.calibration import CalibrationSets, set_names
from jaxprune.sweep.kept import check_same_sweep, hold, tell
from jaxprune.sweep.plan import (
    LRP2,
    Variant,
    check_sweep,
    evaluation_languages,
    jobs,
    perplexity_languages,
    task_languages,
    variant_config,
    variants,
)
from jaxprune.sweep.records import SweepTables
from jaxprune.sweep.steering import Steering, check_data

# Of a translation, as many as in the authors' script.
NEW_TOKENS = 64
Jobs = Mapping[str, list[str]]  # task → languages


def sweep_from_config(config: ConfigDict, workdir: Path) -> SweepTables:
    """Runs what is left of a sweep and writes its tables.

    Args:
      config: validated.
      workdir: gets a folder for each variant, `stats/` (with `pruning.propagate=dense`), tables.md, tables.csv,
        tables.json and report.html. A variant that is whole is not made again; what of one is damaged is.

    Returns:
      What tables.json holds.

    Raises:
      InputError: anything in config, model or data that does not fit; a workdir of another sweep.
    """
    check_sweep(config)
    planned = variants(config)
    if any(variant.calibration == LRP2 for variant in planned):
        check_data(config.evaluation.data)
    check_workdir(workdir, Path(config.model).expanduser())  # a hub id is no folder, and passes
    check_same_sweep(config, workdir)
    model = load(config.model, config.revision)
    hold(workdir, {"model": model.source.fingerprint.digest})
    left = [one for one in planned if not is_whole(one, workdir, jobs(one, config))]
    if left:
        _make_variants(left, len(planned), Runner(config, model, workdir))
    return tell(config, workdir)


def is_whole(variant: Variant, workdir: Path, jobs_of_variant: Jobs) -> bool:
    """Whether a variant is pruned and evaluated, and every file of it is as it was written."""
    folder = workdir / variant.name
    pruned = variant.sparsity is None or is_complete(folder)
    return pruned and not _missing(folder, jobs_of_variant)


def _missing(folder: Path, evaluations: Jobs) -> list[str]:
    """The tasks that are not there in all their languages, or damaged."""
    return [
        name
        for name, codes in evaluations.items()
        if not {*codes} <= _languages(folder / name) or any(sealed.faults(folder / name))
    ]


def _languages(folder: Path) -> set[str]:
    """Those that metrics.json has figures of."""
    return {*read_metrics(folder).get("languages", {})}


def _make_variants(left: Sequence[Variant], count: int, runner: Runner) -> None:
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
      model: that all are made of.
      workdir: of the sweep.
    """

    def __init__(self, config: ConfigDict, model: Model, workdir: Path) -> None:
        self._config, self._model, self._workdir = config, model, workdir
        self._tasks = {one.task.name: one for one in self._read_tasks()}

    def _read_tasks(self) -> list[TaskQuestions]:
        fields, tasks = self._config.evaluation, []
        names = [name.strip() for name in fields.tasks.split(",") if name.strip()]
        for name, codes in zip(names, task_languages(self._config).values(), strict=True):
            tasks += read_tasks(
                [name], protocol=protocol_of(self._config), languages=codes, data=fields.data,
                rows=fields.rows, seed=self._config.seed,
            )  # fmt: skip
        return tasks

    @functools.cached_property
    def _calibration_sets(self) -> CalibrationSets:
        sets = CalibrationSets(self._config, self._model, self._workdir)
        hold(self._workdir, sets.digests())
        return sets

    def make(self, variant: Variant) -> None:
        """Prunes and evaluates, as far as that is not done."""
        folder, model = self._workdir / variant.name, self._model
        if variant.sparsity is not None:
            if not is_complete(folder):
                self._prune(variant, folder)
            model = under_masks(model, checkpoint.restore_packed_masks(folder / "checkpoint"))
        evaluations = jobs(variant, self._config)
        missing = {name: evaluations[name] for name in _missing(folder, evaluations)}
        clear_folders(folder, dict.fromkeys(missing), model)
        translated = missing.pop(TRANSLATION, None)
        if missing:
            self._evaluate(variant, model, folder, missing)
        if translated:
            self._translate(variant, model, folder, translated)

    def _prune(self, variant: Variant, folder: Path) -> None:
        reads_text = bool(set_names(variant))
        batches = self._calibration_sets.batches(variant) if reads_text else []
        stats = self._calibration_sets.stats(variant) if reads_text else None
        prune_to_workdir(
            self._model, batches, variant_config(self._config, variant), folder, stats=stats,
            overwrite=(folder / REPORT).is_file(),  # it is damaged, and goes when the new one is whole
        )  # fmt: skip

    def _evaluate(self, variant: Variant, model: Model, folder: Path, missing: Jobs) -> None:
        scorer, score = scorer_of(model, self._config), None
        tasks = [self._tasks[name].of(missing[name]) for name in missing if name != PERPLEXITY]
        about = facts(self._config, model) | {"variant": variant.name}
        if variant.calibration == LRP2:
            steering = Steering(self._config, scorer, tasks, folder)
            score, about = steering.scores(), about | {"layers": steering.pairs}
        for one in tasks:
            evaluate_task(scorer, one, folder, about, score)
        if codes := missing.get(PERPLEXITY):
            texts = {code: self._texts[code] for code in codes}
            about_text = about | {"data": self._config.evaluation.perplexity}
            evaluate_perplexity(scorer, texts, folder, about_text)

    @functools.cached_property
    def _texts(self) -> dict[str, str]:
        return plain_texts(self._config, perplexity_languages(self._config))

    def _translate(
        self, variant: Variant, model: Model, folder: Path, codes: Sequence[str]
    ) -> None:
        config = self._config
        mesh = device_mesh(**config.mesh)
        about = facts(config, model) | {
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
