"""A model, languages and texts → `OUT/model.gguf` and `OUT/hf`, with their losses on text held out."""

import dataclasses
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.base.errors import InputError
from jaxprune.base.files.outside import read_json
from jaxprune.base.files.whole import write_json
from jaxprune.base.progress import say
from jaxprune.base.schema import texts_of
from jaxprune.base.text import byte_size, points
from jaxprune.base.workdir.differences import difference
from jaxprune.base.workdir.json_files import REPORT
from jaxprune.base.workdir.locks import PROGRESS, locked
from jaxprune.base.workdir.reading import GGUF, check_workdir, read_report
from jaxprune.data.config import TextFields
from jaxprune.evaluation.changes import on_common_text
from jaxprune.evaluation.config import EvaluateConfig, EvaluationFields
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY, Perplexity
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.gguf.write import file_size
from jaxprune.hf.model import Model, load
from jaxprune.models.model import kernel_shapes
from jaxprune.pruning.quantization import QuantizeFields, check_grids
from jaxprune.recovery.config import DISTIL, RecoveryFields
from jaxprune.runs.evaluate import evaluate_from_config
from jaxprune.runs.packing.config import PackConfig
from jaxprune.runs.packing.plan import EXPECTED, PackPlan, pack_plan
from jaxprune.runs.packing.results import PACKING, file_size_text, packed_result
from jaxprune.runs.packing.speed import speeds
from jaxprune.runs.packing.steps import (
    MOST_BITS,
    Choice,
    Losses,
    Measured,
    Vocabulary,
    best_measured,
    predicted_loss,
    rounding_losses,
    within_loss,
    within_size,
)
from jaxprune.runs.packing.texts import Parts, parts_of
from jaxprune.runs.pipeline import calibration_of
from jaxprune.runs.planning.config import QuantizeConfig, RecoverConfig, ShrinkConfig
from jaxprune.runs.quantize import quantize_to_workdir
from jaxprune.runs.recover import recover_to_workdir
from jaxprune.runs.shrink import shrink_to_workdir
from jaxprune.shrinking.config import ShrinkFields
from jaxprune.shrinking.expected import Shares, expected_shares
from jaxprune.shrinking.texts import texts_by_language
from jaxprune.stats.config import CalibrationFields

STEPS, DENSE = "steps", "dense"
# Shares of each language's tokens that are kept, from most to fewest.
_COVERAGES = (0.9995, 0.999, 0.998, 0.996, 0.992)
# Roundings that are measured, at most.
_MOST_ROUNDINGS = 4
# The loss by rounding before one is measured.
_USUAL_LOSS = 0.05
# Predictions aim below a limit of loss, as a measured loss above it is of no use.
_AIM = 0.95
_SAMPLES, _SAMPLES_OF_LANGUAGE = 128, 16

_Perplexities = Mapping[str, Perplexity]


@dataclasses.dataclass(frozen=True)
class Job:
    """A packing.

    Attributes:
      config: validated.
      model: the dense model.
      parts: its texts, in folders below `steps/texts/`.
      workdir: receives the result, and below `steps/` those of each step.
    """

    config: PackConfig
    model: Model
    parts: Parts
    workdir: Path

    @property
    def steps(self) -> Path:
        """The folder of the steps."""
        return self.workdir / STEPS

    def texts(self, part: str) -> str:
        """The folder of a part of the texts, a field of `Parts`."""
        return str(self.steps / "texts" / part)

    def folder_of(self, vocabulary: Vocabulary) -> str:
        """The model with these tokens before rounding."""
        if vocabulary.coverage == 1:
            return self.config.model
        return str(self.steps / tokens_folder(vocabulary.coverage) / "hf")

    @property
    def calibration(self) -> dict[str, Any]:
        """The fields `calibration.*` of samples of the kept texts."""
        languages = self.config.languages
        fields = TextFields(kind="monolingual", data=self.texts("kept"), source=languages)
        most = max(_SAMPLES, _SAMPLES_OF_LANGUAGE * len(languages))
        fewest = min(len(lines) for lines in self.parts.kept.values()) // fields.shots
        return {**vars(fields), "samples": min(most, fewest)}

    def rounding(self, model: str, size: int | None = None) -> QuantizeConfig:
        """The config of a rounding calibrated on the kept texts."""
        return QuantizeConfig(
            model=model, seed=self.config.seed, calibration=CalibrationFields(**self.calibration),
            quantize=QuantizeFields(size=size),
        )  # fmt: skip


def pack_from_config(
    config: PackConfig, workdir: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Packs a model, or goes on with an interrupted packing.

    Args:
      config: validated.
      workdir: receives model.gguf, hf/ with the same weights in float32, and pack.json.
      overwrite: replace another packing in the workdir.

    Returns:
      The content of pack.json.

    Raises:
      InputError: two limits, no texts, a model that llama.cpp does not have or whose tokenizer cannot be cut, no file
        of this size, or another content of the workdir.
    """
    began = time.perf_counter()
    job = _job(config, workdir)
    identity = {
        **{f"--{name}": value for name, value in texts_of(config).items() if value is not None},
        "the model's files": job.model.source.fingerprint.digest,
        "the texts": job.parts.digest,
    }
    with locked(job.steps):
        record = _begun(job, identity, overwrite)
        if "result" not in record:
            job.parts.write(job.steps / "texts")
            if "chosen" not in record:
                say(f"pack: {_plan(job)}")
                record |= _choose(job)
                write_json(workdir / PACKING, record)
            _move_up(job.steps / record["chosen"]["name"], workdir)
            _evaluate(job, "reported", config.model, job.steps / DENSE)
            _evaluate(job, "reported", str(workdir / "hf"), workdir)
            tokens = job.steps / tokens_folder(record["chosen"]["coverage"])
            shrunk = (read_report(tokens) or {}).get("shrunk", {})
            record["result"] = packed_result(
                job.model, job.steps / DENSE, workdir, shrunk, config.largest_loss
            )
            prompt = Path(job.texts("reported"), f"{config.languages[0]}.txt").read_text("utf-8")
            record["result"]["speed"] = speeds(job.model, workdir / GGUF, prompt, job.steps)
            record["seconds"] = round(time.perf_counter() - began, 3)
            write_json(workdir / PACKING, record)
            _remove_steps(job, "texts", DENSE, tokens.name)
    return record


def plan_from_config(config: PackConfig, workdir: Path) -> PackPlan:
    """The estimated costs of a packing; writes nothing. Raises as `pack_from_config`."""
    return _plan(_job(config, workdir))


def _plan(job: Job) -> PackPlan:
    return pack_plan(job.model, job.parts, job.rounding(job.config.model), job.workdir)


def _job(config: PackConfig, workdir: Path) -> Job:
    config.check_alternatives()
    model = load(config.model)
    check_grids(model.config, QuantizeFields())
    check_workdir(workdir, model.folder)
    return Job(config, model, parts_of(config), workdir)


def _begun(job: Job, identity: Mapping[str, Any], overwrite: bool) -> dict[str, Any]:
    """The record of an earlier packing with this identity, which may be unfinished, or a new one."""
    file = job.workdir / PACKING
    record = read_json(file)
    if record and not overwrite:
        if differs := difference(record["identity"], identity):
            raise InputError(
                f"--workdir: {job.workdir} has a packing with {differs}; expected --overwrite, or another folder"
            )
        return record
    if record:
        _remove_steps(job)
        shutil.rmtree(job.workdir / PERPLEXITY, ignore_errors=True)  # of the older model
    elif (job.workdir / REPORT).exists():
        raise InputError(f"--workdir: {job.workdir} has another run; expected another folder")
    record = {"identity": identity}
    write_json(file, record)
    return record


def _remove_steps(job: Job, *kept: str) -> None:
    for folder in job.steps.iterdir():
        if folder.name not in (PROGRESS, *kept) and folder.is_dir():
            shutil.rmtree(folder)
        elif folder.suffix == ".npz":
            folder.unlink()


def _choose(job: Job) -> dict[str, Any]:
    """Measures choices of tokens and bits; returns the best and all."""
    dense = _measured(job, DENSE, job.config.model)
    vocabularies = _vocabularies(job, dense)
    measured = _measured_roundings(job, vocabularies, dense)
    best = best_measured(measured, None if job.config.size else job.config.largest_loss)
    if job.config.recover is not None:
        measured.append(_recovered(job, best, dense))
        best = min(best, measured[-1], key=lambda step: step.largest_loss)
    steps = [
        {
            "name": step.name,
            "coverage": step.choice.vocabulary.coverage,
            "losses": dict(step.losses),
        }
        | {"bytes": (job.steps / step.name / GGUF).stat().st_size}
        for step in measured
    ]
    return {"steps": steps, "chosen": steps[measured.index(best)]}


def _vocabularies(job: Job, dense: _Perplexities) -> list[Vocabulary]:
    """All tokens, and ever fewer until those that are missing cost too much."""
    none = dict.fromkeys(job.config.languages, 0.0)
    vocabularies = [Vocabulary(1.0, *_sizes(job.model), none)]
    expected = _expected(job)
    for coverage in _COVERAGES:
        smaller = _with_fewer_tokens(job, coverage, expected)
        sizes = _sizes(smaller)
        if job.config.size is not None and sizes[0] > job.config.size:
            continue  # too large even in four bits
        losses = _losses(_measured(job, tokens_folder(coverage), str(smaller.folder)), dense)
        say(f"{smaller.config.vocab_size:,} tokens: {_shown(losses)}")
        vocabularies.append(Vocabulary(coverage, *sizes, losses))
        if max(losses.values()) > _worth(job.config, vocabularies):
            break
    return vocabularies


def _worth(config: PackConfig, vocabularies: Sequence[Vocabulary]) -> float:
    """The loss above which fewer tokens are of no use: the limit, or what is predicted for the best so far."""
    if config.size is None:
        return config.largest_loss
    rounding = dict.fromkeys(config.languages, _USUAL_LOSS)
    best = within_size(vocabularies, rounding, config.size)
    if best is None:
        return math.inf
    return predicted_loss(best.vocabulary, rounding, best.vocabulary.bits(best.size))


def _expected(job: Job) -> Shares:
    """The tokens that the model expects in the languages; computed once, for all coverages."""
    file = job.steps / "expected.npz"
    if not file.exists():
        texts = texts_by_language("--text", [job.texts("kept")], job.config.languages)
        arrays: dict[str, Any] = dict(expected_shares(job.model, texts, EXPECTED))
        unfinished = file.with_name("new.npz")
        np.savez(unfinished, **arrays)
        unfinished.replace(file)
    with np.load(file) as shares:
        return dict(shares)


def _with_fewer_tokens(job: Job, coverage: float, expected: Shares) -> Model:
    folder = job.steps / tokens_folder(coverage)
    if not (folder / REPORT).exists():
        fields = ShrinkFields(
            vocabulary=(job.texts("kept"),), languages=job.config.languages, expected=EXPECTED,
            coverage=coverage, heldout=(job.texts("reported"),),
        )  # fmt: skip
        config = ShrinkConfig(model=job.config.model, shrink=fields)
        shrink_to_workdir(config, folder, expected=expected)
    return load(folder / "hf")


def tokens_folder(coverage: float) -> str:
    """The name of the folder of a model with fewer tokens."""
    return f"tokens_{coverage}"


def _sizes(model: Model) -> tuple[int, int]:
    """Bytes of the smallest file, and the number of weights in kernels."""
    fields = QuantizeFields()
    weights = sum(map(math.prod, kernel_shapes(model.config).values())) * model.config.n_layers
    return file_size(model, Types(fields.grid, fields.embedding)), weights


def _measured_roundings(
    job: Job, vocabularies: Sequence[Vocabulary], dense: _Perplexities
) -> list[Measured]:
    """Rounds and measures the choice that is predicted to be the best, until that is one that was measured."""
    rounding: Losses = dict.fromkeys(dense, _USUAL_LOSS)
    measured = list[Measured]()
    while len(measured) < _MOST_ROUNDINGS:
        choice = _predicted(job.config, vocabularies, rounding)
        if any(choice.is_close(step.choice) for step in measured):
            break
        measured.append(_rounded(job, choice, dense))
        rounding = rounding_losses(measured[-1])
    return measured


def _predicted(config: PackConfig, vocabularies: Sequence[Vocabulary], rounding: Losses) -> Choice:
    """The choice that is predicted to be the best; if all lose too much, all tokens in eight bits."""
    if config.size is None:
        choice = within_loss(vocabularies, rounding, _AIM * config.largest_loss)
        return choice or Choice(vocabularies[0], vocabularies[0].size(MOST_BITS))
    if choice := within_size(vocabularies, rounding, config.size):
        return choice
    least = min(vocabulary.smallest for vocabulary in vocabularies)
    raise InputError(
        f"--size: {byte_size(config.size)} is too small for {config.model}; expected {byte_size(least)} or more"
    )


def _rounded(job: Job, choice: Choice, dense: _Perplexities) -> Measured:
    """Rounds the model of a choice, calibrated on all languages, and measures it."""
    name = f"{tokens_folder(choice.vocabulary.coverage)}_{choice.size}"
    folder = job.steps / name
    config = job.rounding(job.folder_of(choice.vocabulary), choice.size)
    if not (folder / REPORT).exists():
        model = config.open_model()
        batches, _ = calibration_of(config, model)
        quantize_to_workdir(model, batches, config, folder)
    return _measured_step(job, name, choice, dense)


def _recovered(job: Job, before: Measured, dense: _Perplexities) -> Measured:
    """Fits a rounded model to the dense one with the same tokens, and measures it."""
    name = f"{before.name}_recovered"
    config = RecoverConfig(
        model=job.folder_of(before.choice.vocabulary), seed=job.config.seed,
        calibration=TextFields(**job.calibration),
        recovery=RecoveryFields(
            run=str(job.steps / before.name), how=DISTIL, minutes=job.config.recover
        ),
    )  # fmt: skip
    if not (job.steps / name / REPORT).exists():
        recover_to_workdir(config, job.steps / name)
    return _measured_step(job, name, before.choice, dense)


def _measured_step(job: Job, name: str, choice: Choice, dense: _Perplexities) -> Measured:
    folder = job.steps / name
    losses = _losses(_measured(job, name, str(folder / "hf")), dense)
    say(f"{file_size_text((folder / GGUF).stat().st_size)}: {_shown(losses)}")
    return Measured(name, choice, losses)


def _measured(job: Job, name: str, model: str) -> _Perplexities:
    """The log-probabilities of a step's model on the text on which choices are measured."""
    folder = job.steps / name / "choosing"
    _evaluate(job, "choosing", model, folder)
    return open_evaluation(folder).perplexities


def _evaluate(job: Job, part: str, model: str, workdir: Path) -> None:
    """Evaluates a model on a part of the texts, unless that is done."""
    if not (workdir / PERPLEXITY).is_dir():
        fields = EvaluationFields(
            name=workdir.resolve().name, tasks=(), languages=job.config.languages,
            perplexity=job.texts(part),
        )  # fmt: skip
        evaluate_from_config(EvaluateConfig(model=model, evaluation=fields), workdir)


def _losses(measured: _Perplexities, dense: _Perplexities) -> Losses:
    """The share of bits per byte that a model has more than the dense one, by language."""
    pairs = {code: on_common_text(dense[code], measured[code]) for code in dense}
    return {code: b.bits_per_byte / a.bits_per_byte - 1 for code, (a, b) in pairs.items()}


def _shown(losses: Losses) -> str:
    shown = ", ".join(f"{code} {points(loss)}%" for code, loss in losses.items())
    return f"bits per byte {shown}"


def _move_up(step: Path, workdir: Path) -> None:
    """Moves the run of a step to the workdir, its report last; after a kill the next call does the rest."""
    entries = [entry for entry in step.glob("*") if entry.name != "choosing"]
    for entry in sorted(entries, key=lambda entry: entry.name == REPORT):
        target = workdir / entry.name
        if target.is_dir():
            shutil.rmtree(target)
        entry.replace(target)
