"""The sweep: prunes and evaluates one variant after the other; those that are whole are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from jaxprune.config import Config
from jaxprune.errors import InputError
from jaxprune.evaluation import (
    Workload,
    clear_folders,
    content_digests,
    evaluate_all,
    facts,
    identities,
    named_tasks,
    plain_texts,
    protocol_of,
    read_tasks,
    scorer_of,
    translations,
)
from jaxprune.evaluation.metrics_json import read_metrics
from jaxprune.files import sealed
from jaxprune.hf import Model, load
from jaxprune.ledger import (
    MODEL_DIGEST,
    REPORT,
    check_workdir,
    is_complete,
    pruned_digest,
    read_report,
)
from jaxprune.runs import OUTPUTS, prune_to_workdir, pruned_model
from jaxprune.sweep.calibration import CalibrationSets, set_names
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
from jaxprune.sweep.steering import Steering, check_data
from jaxprune.sweep.sweep_json import check_same_sweep, write_sweep, write_tables_and_page
from jaxprune.sweep.tables_json import SweepTables

# The most of a translation, as many as in the authors' script.
NEW_TOKENS = 64
_BAR = "sweep {desc} {n_fmt}/{total_fmt} |{bar}| {elapsed} < {remaining}"
Jobs = Mapping[str, list[str]]  # folder of scores → languages


def sweep_from_config(config: Config, workdir: Path) -> SweepTables:
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
    # a hub id is no folder, and passes
    check_workdir(workdir, Path(config.model).expanduser(), OUTPUTS)
    check_same_sweep(config, workdir)
    model = load(config.model, config.revision)
    digests = {"model": model.source.fingerprint.digest, "tokenizer": model.tokenizer_digest}
    left = [one for one in planned if not is_whole(one, model, workdir, jobs(one, config))]
    if left:
        runner = Runner(config, model, workdir, left)
        # once nothing more can be wrong with it
        write_sweep(config, workdir, digests | runner.digests())
        with tqdm(left, bar_format=_BAR) as bar:
            for number, variant in enumerate(bar, start=len(planned) - len(left) + 1):
                bar.set_description_str(f"{variant.name} ({number} of {len(planned)})")
                runner.make(variant)
    else:
        write_sweep(config, workdir, digests)
    return write_tables_and_page(config, workdir)


def is_whole(variant: Variant, model: Model, workdir: Path, jobs_of_variant: Jobs) -> bool:
    """Whether a variant of a model is pruned and evaluated, and every file of it is as it was written."""
    folder, scored = workdir / variant.name, None
    if variant.sparsity is None:
        scored = model.source.fingerprint.digest
    elif _is_pruned(folder):
        scored = pruned_digest(read_report(folder) or {})
    return scored is not None and not _missing(folder, jobs_of_variant, scored)


def _is_pruned(folder: Path) -> bool:
    """Whether a run is complete there. If its report is broken it is not, and the next run reports that."""
    try:
        return is_complete(folder)
    except InputError:
        return False


def _missing(folder: Path, evaluations: Jobs, model_digest: str) -> Jobs:
    """The evaluations that are not there in all their languages, damaged, or of other weights than these."""
    return {
        name: codes
        for name, codes in evaluations.items()
        if not (folder / name / sealed.TABLE).is_file()
        or any(sealed.faults(folder / name))  # before they are read
        or not _has(folder / name, codes, model_digest)
    }


def _has(folder: Path, codes: Sequence[str], model_digest: str) -> bool:
    """Whether metrics.json has figures of some languages, of the model of this digest."""
    metrics = read_metrics(folder)
    return {*codes} <= {*metrics.get("languages", {})} and metrics.get(MODEL_DIGEST) == model_digest


class Runner:
    """Makes variants of one model, one at a time; rows and texts are read first, as what is wrong shows then.

    Args:
      config: of the sweep.
      model: that all are made of.
      workdir: of the sweep.
      left: the variants that are to be made.
    """

    def __init__(
        self, config: Config, model: Model, workdir: Path, left: Sequence[Variant]
    ) -> None:
        self._config, self._model, self._workdir = config, model, workdir
        fields, tasks = config.evaluation, []
        by_task = task_languages(config).values()
        for name, codes in zip(named_tasks(config), by_task, strict=True):
            tasks += read_tasks(
                [name], protocol=protocol_of(config), languages=codes, data=fields.data,
                rows=fields.rows, seed=config.seed,
            )  # fmt: skip
        self._workload = Workload(
            tasks,
            plain_texts(config, perplexity_languages(config)),
            translations(config, evaluation_languages(config)),
        )
        reads_text = any(set_names(one) and not _is_pruned(workdir / one.name) for one in left)
        self._calibration_sets = CalibrationSets(config, model, workdir) if reads_text else None

    def digests(self) -> dict[str, str]:
        """SHA-256 of what was read: sets of samples, and what each task asks in each language."""
        asked = identities(self._workload, self._model, self._config.dtype)
        sets = self._calibration_sets
        return (sets.digests() if sets else {}) | {
            f"{name} {code}": digest
            for name, identity in asked.items()
            for code, digest in content_digests(identity).items()
        }

    def make(self, variant: Variant) -> None:
        """Prunes and evaluates, as far as that is not done."""
        folder, model = self._workdir / variant.name, self._model
        if variant.sparsity is not None:
            if not _is_pruned(folder):
                self._prune(variant, folder)
            model = pruned_model(model, folder)
        wanted = jobs(variant, self._config)
        missing = _missing(folder, wanted, model.source.fingerprint.digest)
        clear_folders(folder, dict.fromkeys(missing), model, overwrite=True)
        if missing:
            self._evaluate(variant, model, folder, missing)

    def _prune(self, variant: Variant, folder: Path) -> None:
        sets = self._calibration_sets
        batches, stats = (sets.batches(variant), sets.stats(variant)) if sets else ([], None)
        prune_to_workdir(
            self._model, batches, variant_config(self._config, variant), folder, stats=stats,
            overwrite=(folder / REPORT).is_file(),  # it is damaged, and goes when the new one is whole
        )  # fmt: skip

    def _evaluate(self, variant: Variant, model: Model, folder: Path, missing: Jobs) -> None:
        config, score = self._config, None
        scorer, workload = scorer_of(model, config), self._workload.of(missing)
        about = facts(config, model) | {"variant": variant.name}
        if variant.calibration == LRP2:
            steering = Steering(config, scorer, workload.tasks, folder)
            score, about = steering.scores, about | {"layers": steering.pairs}
        evaluate_all(scorer, workload, config, folder, about, score=score, new_tokens=NEW_TOKENS)
