"""A model, languages and texts → `OUT/model.gguf` and `OUT/hf`, with their losses on text held out."""

import dataclasses
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.files.outside import read_json
from jaxprune.base.files.whole import write_json
from jaxprune.base.progress import say
from jaxprune.base.schema import texts_of
from jaxprune.base.text import byte_size
from jaxprune.base.workdir.differences import difference
from jaxprune.base.workdir.json_files import REPORT
from jaxprune.base.workdir.locks import PROGRESS, locked
from jaxprune.base.workdir.reading import GGUF, check_workdir, read_config, read_report
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.hf.gguf.write import check_written
from jaxprune.hf.model import load
from jaxprune.hf.origin import origin_of
from jaxprune.pages.card import model_card
from jaxprune.pages.packed_model import PACKING, packed_result
from jaxprune.pruning.quantization import QuantizeFields, check_grids
from jaxprune.search.packing.config import PackConfig
from jaxprune.search.packing.job import (
    CHOOSING,
    DENSE,
    GENERATED,
    TEXTS,
    Job,
    Perplexities,
    evaluate,
    measured_texts,
)
from jaxprune.search.packing.measure import (
    all_tokens,
    expected_tokens,
    measured_vocabulary,
    recovered,
    rounded,
)
from jaxprune.search.packing.plan import PackPlan, pack_plan
from jaxprune.search.packing.speed import speeds
from jaxprune.search.packing.steps import (
    LEAST_BITS,
    MOST_BITS,
    USUAL_LOSS,
    Choice,
    Losses,
    Measured,
    Vocabulary,
    best_measured,
    rounding_losses,
    within_loss,
    within_size,
)
from jaxprune.search.packing.texts import own_text, parts_of, planned_text
from jaxprune.search.packing.tokens import Tokens
from jaxprune.shrinking.vocabulary import rules_of
from jaxprune.steps.planning.costs import kernel_weights

# Roundings and vocabularies that are measured, at most, all tokens among the latter.
_MOST_ROUNDINGS, _MOST_VOCABULARIES = 4, 5
# Predictions aim below a limit of loss: what loses least on one part of the text loses more on another.
_AIM = 0.9


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
    with locked(job.steps):
        record = _begun(job, overwrite)
        if "result" not in record:
            job = _with_texts(job, record)
            if "chosen" not in record:
                record |= _choose(job)
                write_json(workdir / PACKING, record)
            _finish(job, record, began)
    return record


def plan_from_config(config: PackConfig, workdir: Path, *, overwrite: bool = False) -> PackPlan:
    """The estimated costs of a whole packing; writes nothing. Raises as `pack_from_config`."""
    job = _job(config, workdir)
    _earlier(job, overwrite)
    return pack_plan(job)


def _with_texts(job: Job, record: Mapping[str, Any]) -> Job:
    """The packing with its texts, which are in files then; the model writes them first if there are none."""
    if "chosen" not in record:
        whole = " for a whole packing, which goes on here" if (job.steps / TEXTS).exists() else ""
        say(f"pack: {pack_plan(job)}{whole}")
    if job.config.text is None:
        text = own_text(job.model, job.config, job.steps / GENERATED)
        job = dataclasses.replace(job, parts=parts_of(job.config, text))
    job.parts.write(job.steps / TEXTS)
    return job


def _finish(job: Job, record: dict[str, Any], began: float) -> None:
    """Moves the chosen model to the workdir, measures it on the reported text, and completes record and card."""
    config, workdir = job.config, job.workdir
    _move_up(job.steps / record["chosen"]["name"], workdir)
    evaluate(job, "reported", config.model, job.steps / DENSE)
    evaluate(job, "reported", str(workdir / "hf"), workdir)
    tokens = job.steps / record["chosen"]["tokens"]
    shrunk = (read_report(tokens) or {}).get("shrunk", {})
    result = packed_result(job.model, job.steps / DENSE, workdir, shrunk, config.largest_loss)
    if config.text is None:
        first = {code: lines[0] for code, lines in job.parts.kept.items()}
        result[GENERATED] = {"first": first, "is_measured": config.heldout is None}
    prompt = Path(job.texts("reported"), f"{config.languages[0]}.txt").read_text("utf-8")
    result["speed"] = speeds(job.model, workdir / GGUF, prompt, job.steps)
    record["result"], record["origin"] = result, origin_of(job.model, config.model)
    report = read_report(workdir) or {}
    card = model_card(read_config(workdir, report), report, packed=record)
    manifest.replace_card(workdir / "hf", card)
    record["seconds"] = round(time.perf_counter() - began, 3)
    write_json(workdir / PACKING, record)
    _remove_steps(job, TEXTS, DENSE, tokens.name)


def _job(config: PackConfig, workdir: Path) -> Job:
    config.check_alternatives()
    model = load(config.model)
    check_written(model)
    check_grids(model.config, QuantizeFields())
    least = int(LEAST_BITS * kernel_weights(model.config) / 8)
    if config.size is not None and config.size < least:
        raise InputError(
            f"--size: {byte_size(config.size)} is too small for {config.model}, whose linear layers alone take "
            f"{byte_size(least)}"
        )
    rules_of(model)  # raises for a tokenizer that cannot be cut
    check_workdir(workdir, model.folder)
    text = planned_text(config) if config.text is None else None
    return Job(config, model, parts_of(config, text), workdir)


def _begun(job: Job, overwrite: bool) -> dict[str, Any]:
    """The record of an earlier packing of the same, which may be unfinished, or a new one."""
    record = _earlier(job, overwrite)
    if record and not overwrite:
        return record
    if record:
        _remove_steps(job)
        shutil.rmtree(job.workdir / PERPLEXITY, ignore_errors=True)  # of the older model
    record = {"identity": _identity(job)}
    write_json(job.workdir / PACKING, record)
    return record


def _earlier(job: Job, overwrite: bool) -> dict[str, Any]:
    """The record of the packing in the workdir, empty if there is none.

    Raises:
      InputError: it is another packing, which is not to be overwritten, or another run.
    """
    record = read_json(job.workdir / PACKING)
    if not record and (job.workdir / REPORT).exists():
        raise InputError(f"--workdir: {job.workdir} has another run; expected another folder")
    if record and not overwrite and (differs := difference(record["identity"], _identity(job))):
        raise InputError(
            f"--workdir: {job.workdir} has a packing with {differs}; expected --overwrite, or another folder"
        )
    return record


def _identity(job: Job) -> dict[str, Any]:
    """The settings, model and texts that make the packing."""
    settings = texts_of(job.config.same_job()).items()
    return {
        **{f"--{name}": value for name, value in settings if value is not None},
        "the model's files": job.model.source.fingerprint.digest,
        "the texts": job.parts.digest,
    }


def _remove_steps(job: Job, *kept: str) -> None:
    for folder in job.steps.iterdir():
        if folder.name not in (PROGRESS, *kept) and folder.is_dir():
            shutil.rmtree(folder)
        elif folder.suffix == ".npz":
            folder.unlink()


def _choose(job: Job) -> dict[str, Any]:
    """Measures choices of tokens and bits; returns the best and all."""
    dense = measured_texts(job, DENSE, job.config.model)
    measured = _measured_choices(job, dense)
    best = best_measured(measured, None if job.config.size else job.config.largest_loss)
    if job.config.recover is not None:
        measured.append(recovered(job, best, dense))
        best = min(best, measured[-1], key=lambda step: step.largest_loss)
    steps = [
        {
            "name": step.name,
            "tokens": step.choice.vocabulary.name,
            "losses": dict(step.losses),
        }
        | {"bytes": (job.steps / step.name / GGUF).stat().st_size}
        for step in measured
    ]
    return {"steps": steps, "chosen": steps[measured.index(best)]}


def _measured_choices(job: Job, dense: Perplexities) -> list[Measured]:
    """Makes and measures the choice that is predicted to be the best, until that is one that was measured."""
    expected = expected_tokens(job)
    tokens, vocabularies = Tokens(job.model, job.parts, expected), [all_tokens(job)]
    proposed: Vocabulary | None = tokens.uniform(vocabularies)
    rounding: Losses = dict.fromkeys(dense, USUAL_LOSS)
    measured = list[Measured]()
    while len(measured) < _MOST_ROUNDINGS:
        if proposed is not None and (made := measured_vocabulary(job, proposed, expected, dense)):
            vocabularies.append(made)
        proposed = _proposed(job.config, tokens, vocabularies, rounding)
        if proposed is not None:
            continue
        choice = _predicted(job.config, vocabularies, rounding)
        if any(choice.is_close(step.choice) for step in measured):
            break
        measured.append(rounded(job, choice, measured, dense))
        rounding = rounding_losses(measured[-1])
    return measured


def _proposed(
    config: PackConfig, tokens: Tokens, vocabularies: Sequence[Vocabulary], rounding: Losses
) -> Vocabulary | None:
    """The vocabulary that is predicted to be the best, unless it is like one that was measured."""
    if len(vocabularies) == _MOST_VOCABULARIES:
        return None
    every = [*vocabularies, *tokens.balanced(vocabularies)]
    best = _predicted(config, every, rounding).vocabulary
    if best.name is not None or any(best.is_like(vocabulary) for vocabulary in vocabularies):
        return None
    return best


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


def _move_up(step: Path, workdir: Path) -> None:
    """Moves the run of a step to the workdir, its report last; after a kill the next call does the rest."""
    entries = [entry for entry in step.glob("*") if entry.name != CHOOSING]
    for entry in sorted(entries, key=lambda entry: entry.name == REPORT):
        target = workdir / entry.name
        if target.is_dir():
            shutil.rmtree(target)
        entry.replace(target)
