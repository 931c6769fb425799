"""A variant → its folder: prunes or recovers, and evaluates the model, where that is not done yet."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from flax.traverse_util import flatten_dict

from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.files.outside import read_json
from jaxprune.base.schema import part_of
from jaxprune.base.workdir.differences import difference
from jaxprune.base.workdir.json_files import CONFIG, REPORT, Report
from jaxprune.base.workdir.locks import locked
from jaxprune.base.workdir.reading import MODEL_DIGEST, is_complete, pruned_digest, read_report
from jaxprune.devices.sharding import device_mesh
from jaxprune.evaluation.config import EvaluateConfig
from jaxprune.evaluation.evaluate import evaluate_all, facts_of, scorer_of
from jaxprune.evaluation.folders import clear_folders
from jaxprune.evaluation.identity import content_digests, identities
from jaxprune.evaluation.measurements import read_evaluation
from jaxprune.evaluation.workload import read_workload
from jaxprune.hf.model import Model
from jaxprune.pages.card import model_card
from jaxprune.pruning.quantization import with_rounded_tables
from jaxprune.runs.run import UnfinishedError
from jaxprune.runs.run_step import run_step
from jaxprune.search.sweeps.calibration import CalibrationSets
from jaxprune.search.sweeps.config import SweepConfig
from jaxprune.search.sweeps.grid import PRUNING, QUANTIZE
from jaxprune.search.sweeps.jobs import Jobs, dense_jobs, jobs
from jaxprune.search.sweeps.variants import Variant, variants
from jaxprune.steps.by_config import step_of
from jaxprune.steps.configs import MethodConfig, QuantizeConfig, RecoverConfig
from jaxprune.steps.finished_run import model_digest, pruned_model
from jaxprune.steps.planning.plan import check_fits, plan_of
from jaxprune.steps.prune import Prune, check_outputs
from jaxprune.steps.quantize import Quantize

# Limit on the tokens of a translation, as in the authors' script.
NEW_TOKENS = 64


class Runner:
    """Makes variants of one model, one at a time; rows and texts are read first, to find faults in them early.

    Args:
      config: config of the sweep.
      model: the dense model.
      workdir: workdir of the sweep.

    Attributes:
      variants, left_out: see `variants`.
      dense_jobs: the languages of all evaluations, by folder of scores.
      model, workload, sets: the dense model, the data of evaluations, and the samples of variants.
      digests: SHA-256 of the inputs: model, tokenizer, sets of samples, and the content of each task in each language.

    Raises:
      InputError: config or data do not fit.
    """

    def __init__(self, config: SweepConfig, model: Model, workdir: Path) -> None:
        self._config, self.model, self._workdir = config, model, workdir
        self.dense_jobs = dense_jobs(config)
        self.variants, self.left_out = variants(config)
        self._by_name = {variant.name: variant for variant in self.variants}
        self._evaluated = part_of(EvaluateConfig, config)
        self.workload = read_workload(self._evaluated, self.dense_jobs.get)
        self.sets = CalibrationSets(config, self.variants, model)
        by_folder = identities(self.workload, model, config.dtype)
        self.digests = {
            "model": model.source.fingerprint.digest,
            "tokenizer": model.tokenizer_digest,
            **self.sets.digests(),
            **{
                f"{name} {code}": digest
                for name, identity in by_folder.items()
                for code, digest in content_digests(identity).items()
            },
        }

    def jobs(self, variant: Variant) -> Jobs:
        """The languages in which a variant is evaluated, by folder of scores."""
        return jobs(variant, self.dense_jobs, self._config.sweep.evaluate)

    def check(self) -> None:
        """Rejects variants that this machine or the model does not allow, before the dense model is evaluated.

        Raises:
          InputError: as `run_from_config`.
        """
        mesh = device_mesh(self._config.mesh.data, self._config.mesh.model)
        for variant in self.variants:
            config = variant.config
            if config is None or (self._workdir / variant.name / REPORT).is_file():
                continue
            if isinstance(config, RecoverConfig):
                check_outputs(config, self.model, changes_weights=True)
                continue
            changes_weights = config.settings.method.updates_weights
            check_outputs(config, self.model, changes_weights=changes_weights)
            sizes, batches = self.model.config, self.sets.batches(config)
            stored = self.model.dtype
            if isinstance(config, QuantizeConfig):
                stored = with_rounded_tables(self.model, config.quantize).dtype
            check_fits(plan_of(sizes, stored, batches, config, mesh))

    def is_whole(self, variant: Variant) -> bool:
        """Whether a variant is pruned and evaluated, and all its files are unchanged.

        Raises:
          InputError: its folder has the complete run of another variant, model or text.
        """
        return self._is_made(variant) and not self._missing(variant)

    def make(self, variant: Variant) -> None:
        """Prunes or recovers, and evaluates, where that is not done yet.

        Raises:
          LockedError: another worker makes the variant that this one recovers.
        """
        folder = self._workdir / variant.name
        if not self._is_made(variant):
            pruned = self._by_name.get(variant.pruned or "")
            if pruned and not self._is_made(pruned):
                with locked(self._workdir, f"{pruned.name}.lock"):
                    if not self._is_made(pruned):  # another worker may have made it
                        self._make_run(pruned)
            self._make_run(variant)
        if not (missing := self._missing(variant)):
            return
        model = self.model if variant.config is None else pruned_model(self.model, folder)
        scorer = scorer_of(model, self._evaluated)
        facts = facts_of(self._evaluated, model, variant.name)
        with locked(folder):
            clear_folders(folder, dict.fromkeys(missing), model, overwrite=True)
            evaluate_all(
                scorer, self.workload.of(missing), self._evaluated, folder, facts,
                new_tokens=NEW_TOKENS,
            )  # fmt: skip

    def _make_run(self, variant: Variant) -> None:
        """Prunes, quantizes or recovers; a damaged or older run starts over."""
        folder, config = self._workdir / variant.name, variant.config
        step = step_of(self._recovery(variant) if variant.pruned else cast(MethodConfig, config))
        opened = None
        if isinstance(step, Prune | Quantize):  # whose samples variants share
            stats = self.sets.stats(step.config) if isinstance(step, Prune) else None
            opened = step.opened(self.model, self.sets.batches(step.config), stats)
        run = functools.partial(run_step, step, folder, model_card, opened=opened)
        try:
            run(overwrite=(folder / REPORT).is_file())  # it is damaged
        except UnfinishedError:  # of another version or kind of device, or damaged
            run(overwrite=True)

    def _recovery(self, variant: Variant) -> RecoverConfig:
        """The config of a recovery, with the folder of the run that it reads."""
        config: Any = variant.config
        run = str(self._workdir / config.recovery.run)
        return dataclasses.replace(config, recovery=dataclasses.replace(config.recovery, run=run))

    def _is_made(self, variant: Variant) -> bool:
        """Whether its run is complete, if it needs one. A broken report counts as none; the next run reports it."""
        folder, config = self._workdir / variant.name, variant.config
        if config is None:
            return True
        try:
            if not is_complete(folder):
                return False
        except InputError:
            return False
        before, now = (_settings(fields) for fields in (read_json(folder / CONFIG), config.json()))
        if differs := difference(before, now):
            raise InputError(
                f"--workdir: {folder} contains a complete run with {differs}; expected the run of this "
                "variant there, or another --workdir"
            )
        return isinstance(config, MethodConfig) or self._reads_its_run(folder, config)

    def _reads_its_run(self, folder: Path, config: RecoverConfig) -> bool:
        """Whether a recovery is of the present run of its pruned variant."""
        recovered, pruned = (
            read_report(path) or Report() for path in (folder, self._workdir / config.recovery.run)
        )
        return recovered["identity"].get("config.recovery.run") == pruned_digest(pruned)

    def _missing(self, variant: Variant) -> Jobs:
        """The evaluations of a made variant that lack a language, are damaged, or are of other weights or rows."""
        folder = self._workdir / variant.name
        digest: str | None = self.digests["model"]
        if variant.config is not None:
            digest = model_digest(read_report(folder) or {})
        expected = {MODEL_DIGEST: digest, "run": variant.name}
        return {
            name: codes
            for name, codes in self.jobs(variant).items()
            if not self._has(folder / name, codes, expected)
        }

    def _has(self, folder: Path, codes: Sequence[str], expected: Mapping[str, Any]) -> bool:
        """Whether scores are whole, and evaluation.json has these values, and these languages on their content."""
        if not (folder / manifest.TABLE).is_file() or any(manifest.faults(folder)):
            return False
        facts = read_evaluation(folder)
        identity: Any = facts.get("identity", {})
        content = {code: self.digests[f"{folder.name} {code}"] for code in codes}
        return (
            {*codes} <= {*facts.get("languages", ())}
            and expected.items() <= facts.items()
            and content.items() <= content_digests(identity).items()
        )


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a run in which variants differ, by path, without the place of the run that a recovery reads."""
    groups = ("recovery",) if "recovery" in config else (PRUNING, QUANTIZE)
    read = {name: config[name] for name in ("seed", "calibration", *groups) if name in config}
    fields = flatten_dict(read, sep=".")
    return {path: value for path, value in fields.items() if path != "recovery.run"}
