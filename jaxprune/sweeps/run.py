"""The sweep: prunes and evaluates the variants; complete ones are kept."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flax.traverse_util import flatten_dict

from jaxprune import evaluation, ledger
from jaxprune.config import FIELDS, SweepConfig, check_read, config_of
from jaxprune.devices import device_mesh
from jaxprune.errors import InputError
from jaxprune.evaluation.metrics_json import read_metrics
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.evaluation.translation import TRANSLATION
from jaxprune.files import sealed
from jaxprune.hf import Model, load
from jaxprune.progress import say
from jaxprune.runs import check_outputs, model_digest, prune_to_workdir, pruned_model
from jaxprune.runs.planning import check_fits, plan_of
from jaxprune.schema import OUTPUT_PATH, PATH, check, part_of
from jaxprune.sweeps import plan
from jaxprune.sweeps.calibration import STATS, CalibrationSets
from jaxprune.sweeps.plan import LRP2, Variant
from jaxprune.sweeps.steering import Steering, SteeringData
from jaxprune.sweeps.sweep_json import WORKERS, check_same_sweep, joined
from jaxprune.sweeps.tables_json import SweepTables
from jaxprune.sweeps.workers import make_all, shard_of
from jaxprune.sweeps.write import rebuild, write_tables_and_page

# The most of a translation, as many as in the authors' script.
NEW_TOKENS = 64
Jobs = Mapping[str, list[str]]  # folder of scores → languages


def sweep(model: str | Path, workdir: str | Path, **settings: object) -> SweepTables:
    """Prunes a model by sparsities, calibrations and languages, and evaluates each variant, as `jaxprune sweep` does.

    A repeated call resumes an interrupted sweep.

    Args:
      model: as in `jaxprune.load`.
      workdir: folder for the variants, tables.md, tables.csv, tables.json and report.html.
      settings: fields of the config by keyword, those of a group in a dict; a list replaces names with commas.

    Returns:
      The content of tables.json. Notebooks show the changes against the dense model.

    Raises:
      InputError: a setting that does not exist, that sweeps do not read, or whose value is not allowed; a workdir of
        another sweep; errors in the data.

    Examples:
      >>> import jaxprune as jp
      >>> tables = jp.sweep(
      ...     "nano", "runs/sweep",
      ...     calibration={"data": "nano", "samples": 2},
      ...     evaluation={"tasks": "nano_nli", "rows": 4},
      ...     sweep={"sparsities": [0.3, 0.6], "calibrations": ["dense", "magnitude"]},
      ... )
      >>> [row.sparsity for row in tables.tasks["nano_nli"].rows]
      [0.3, 0.6]
    """
    check("model", model, PATH)
    check("workdir", workdir, OUTPUT_PATH)
    given = flatten_dict({"model": str(model), **settings}, sep=".")
    for path in FIELDS.keys() & given.keys():
        check_read(path, "sweep")
    config = config_of(given, SweepConfig)
    folder = Path(workdir).expanduser()
    return sweep_from_config(config, folder) or rebuild(folder)


def sweep_from_config(config: SweepConfig, workdir: Path) -> SweepTables | None:
    """Makes the missing variants of a sweep, with other workers of the same workdir, of which the last writes tables.

    Args:
      config: validated.
      workdir: gets a folder for each variant, `stats/` (with `pruning.propagate=dense`), tables.md, tables.csv,
        tables.json and report.html. Complete variants are kept, damaged parts are repeated.

    Returns:
      The contents of tables.json; None if another worker writes it.

    Raises:
      InputError: config, model or data do not fit; the workdir has another sweep.
    """
    with _worker(config, workdir) as runner:
        make_all(plan.variants(config), workdir, runner.is_whole, runner.make)
    try:
        with ledger.locked(workdir, WORKERS):  # no worker is left
            return write_tables_and_page(config, workdir)
    except ledger.LockedError:
        say("sweep: all variants are made; another worker writes the tables")
        return None


def make_shard(config: SweepConfig, workdir: Path, shard: str) -> None:
    """Makes the missing variants of a share of a sweep, and no tables; see `shard_of`.

    Raises:
      InputError: as `sweep_from_config`; the share.
    """
    share = shard_of(plan.variants(config), shard)
    with _worker(config, workdir) as runner:
        make_all(share, workdir, runner.is_whole, runner.make)


@contextlib.contextmanager
def _worker(config: SweepConfig, workdir: Path) -> Iterator["Runner"]:
    """The runner of a process that has joined the workers of a sweep."""
    plan.check_sweep(config)
    for line in plan.not_evaluated(config):
        say(f"sweep: {line}")
    if ledger.read_report(workdir):
        raise InputError(f"--workdir: {workdir} contains a run; allowed: another folder")
    model = load(config.model, config.revision)
    ledger.check_workdir(workdir, model.folder, {*ledger.OUTPUTS} - {STATS})
    check_same_sweep(config, workdir)
    runner = Runner(config, model, workdir)
    runner.check()
    with joined(config, workdir, runner.digests):  # after all inputs were checked
        yield runner


class Runner:
    """Makes variants of one model, one at a time; rows and texts are read first, to find faults in them early.

    Args:
      config: of the sweep.
      model: the dense model.
      workdir: of the sweep.

    Attributes:
      model, workload, sets: the dense model, all that is evaluated, and the samples of variants.
      digests: SHA-256 of the inputs: model, tokenizer, sets of samples, and the content of each task in each language.
    """

    def __init__(self, config: SweepConfig, model: Model, workdir: Path) -> None:
        self._config, self.model, self._workdir = config, model, workdir
        self._evaluated = part_of(evaluation.EvaluateConfig, config)
        languages = {
            **plan.task_languages(config),
            PERPLEXITY: plan.perplexity_languages(config),
            TRANSLATION: plan.evaluation_languages(config),
        }
        self.workload = evaluation.read_workload(self._evaluated, languages.get)
        self.sets = CalibrationSets(config, model, workdir)
        steered = Variant(LRP2) in plan.variants(config)
        self._steering = SteeringData.read(config, self.workload.tasks) if steered else None
        known = evaluation.identities(self.workload, model, config.dtype)
        self.digests = {
            "model": model.source.fingerprint.digest,
            "tokenizer": model.tokenizer_digest,
            **self.sets.digests(),
            **(self._steering.digests() if self._steering else {}),
            **{
                f"{name} {code}": digest
                for name, identity in known.items()
                for code, digest in evaluation.content_digests(identity).items()
            },
        }

    def check(self) -> None:
        """Rejects variants that this machine or the model does not allow, before the dense model is evaluated.

        Raises:
          InputError: as `prune_from_config`.
        """
        mesh = device_mesh(self._config.mesh.data, self._config.mesh.model)
        for variant in plan.variants(self._config):
            folder = self._workdir / variant.name
            if variant.sparsity is not None and not (folder / ledger.REPORT).is_file():
                config = plan.variant_config(self._config, variant)
                check_outputs(
                    config, self.model, changes_weights=config.settings.method.updates_weights
                )
                sizes, batches = self.model.config, self.sets.batches(variant)
                check_fits(plan_of(sizes, self.model.dtype, batches, config, mesh))

    def is_whole(self, variant: Variant) -> bool:
        """Whether a variant is pruned and evaluated, and all its files are as they were written.

        Raises:
          InputError: its folder has the complete run of another variant, model or text.
        """
        return self._is_pruned(variant) and not self._missing(variant)

    def make(self, variant: Variant) -> None:
        """Prunes and evaluates, as far as that is not done."""
        config, model, folder = self._config, self.model, self._workdir / variant.name
        if not self._is_pruned(variant):
            prune = functools.partial(
                prune_to_workdir, model, self.sets.batches(variant),
                plan.variant_config(config, variant), folder, stats=self.sets.stats(variant),
            )  # fmt: skip
            try:
                prune(overwrite=(folder / ledger.REPORT).is_file())  # it is damaged
            except ledger.UnfinishedError:  # of another version or kind of device, or damaged
                prune(overwrite=True)
        if not (missing := self._missing(variant)):
            return
        if variant.sparsity is not None:
            model = pruned_model(model, folder)
        scorer = evaluation.scorer_of(model, self._evaluated)
        workload, score = self.workload.of(missing), None
        about = evaluation.facts(self._evaluated, model) | {"variant": variant.name}
        if self._steering and variant.calibration == LRP2:
            steering = Steering(config, scorer, self._steering, folder)
            score, about = steering.scores, about | {"layers": steering.pairs}
        with ledger.locked(folder):
            evaluation.clear_folders(folder, dict.fromkeys(missing), model, overwrite=True)
            evaluation.evaluate_all(
                scorer, workload, self._evaluated, folder, about, score=score, new_tokens=NEW_TOKENS
            )

    def _is_pruned(self, variant: Variant) -> bool:
        """Whether its run is complete, if it needs one. A broken report counts as none; the next run reports it."""
        folder = self._workdir / variant.name
        if variant.sparsity is None:
            return True
        try:
            if not ledger.is_complete(folder):
                return False
        except InputError:
            return False
        fields = plan.variant_config(self._config, variant).json()
        identity = ledger.run_identity(self.model, fields, self.sets.batches(variant))
        before = (ledger.read_report(folder) or {}).get("identity", {})
        if differs := ledger.difference(ledger.inputs(before), ledger.inputs(identity)):
            raise InputError(
                f"--workdir: {folder} contains a complete run with {differs}; allowed: the run of this "
                "variant there, or another --workdir"
            )
        return True

    def _missing(self, variant: Variant) -> Jobs:
        """The evaluations of a pruned variant that lack a language, are damaged, or are of other weights or rows."""
        folder = self._workdir / variant.name
        digest: str | None = self.digests["model"]
        if variant.sparsity is not None:
            digest = model_digest(ledger.read_report(folder) or {})
        about = {ledger.MODEL_DIGEST: digest, "variant": variant.name}
        return {
            name: codes
            for name, codes in plan.jobs(variant, self._config).items()
            if not (folder / name / sealed.TABLE).is_file()
            or any(sealed.faults(folder / name))  # before they are read
            or not self._has(folder / name, codes, about)
        }

    def _has(self, folder: Path, codes: Sequence[str], about: Mapping[str, Any]) -> bool:
        """Whether metrics.json has these values, and figures of these languages on their present content."""
        metrics = read_metrics(folder)
        identity: Any = metrics.get("identity", {})
        now = {code: self.digests[f"{folder.name} {code}"] for code in codes}
        return (
            {*codes} <= {*metrics.get("languages", {})}
            and about.items() <= metrics.items()
            and now.items() <= evaluation.content_digests(identity).items()
        )
