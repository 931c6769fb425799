"""A model → an `Evaluation`; two evaluations → a `Comparison`. The Python API of the commands evaluate and compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from jaxprune.calibration import SEED
from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.evaluation.comparison import (
    Comparison,
    EvaluatedRun,
    Sides,
    comparison_of,
    evaluated,
    open_run,
)
from jaxprune.evaluation.config import EvaluateConfig, EvaluationFields
from jaxprune.evaluation.evaluate import evaluate_all
from jaxprune.evaluation.identity import IDENTITY
from jaxprune.evaluation.results import PerplexityResult, TaskResult
from jaxprune.evaluation.scoring import PERPLEXITY, Scorer
from jaxprune.evaluation.summary import Result, perplexity_table, task_tables
from jaxprune.evaluation.workload import read_workload
from jaxprune.files import local_path
from jaxprune.hf import Model, check_model
from jaxprune.passes import DTYPE
from jaxprune.schema import check, checked
from jaxprune.tables import Shown, TextTable, data_frame


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(Shown):
    """The results of one model, as `jaxprune.evaluate` returns them. Notebooks show them as tables.

    Attributes:
      model: folder of the evaluated model, its name in tables.
      tasks: by name, with figures in `.metrics` and the scores of every row in `.scored`.
      perplexity: with `.languages`, each with perplexity, tokens and windows; None if not evaluated.
        `.about["calibration_overlap"]` has the number of lines of the calibration set, for a model in a run's folder.
    """

    model: str
    tasks: Mapping[str, TaskResult]
    perplexity: PerplexityResult | None

    def to_pandas(self) -> Any:
        """A pandas DataFrame with a row for each task and language, and for the perplexity of each language.

        Columns are the keys of metrics.json, nested ones joined by `_`, as rankc_corrected; low and high are the
        bounds of the 95% interval. InputError if pandas is not installed.
        """
        texts = {PERPLEXITY: self.perplexity.languages} if self.perplexity else {}
        tasks = {name: result.metrics.languages for name, result in self.tasks.items()}
        return data_frame({**tasks, **texts})

    def _shown(self) -> tuple[str, list[TextTable]]:
        tables = [table for result in self.tasks.values() for table in task_tables(result)]
        if self.perplexity:
            tables.append(perplexity_table(self.perplexity))
        evaluated = ", ".join([*self.tasks, *[PERPLEXITY] * bool(self.perplexity)])
        return f"{Path(self.model).name}: {evaluated}", tables


def evaluate(
    model: Model,
    tasks: str | Sequence[str] = (),
    *,
    languages: str | Sequence[str] | None = None,
    protocol: str = "paper",
    data: str | Path | None = None,
    rows: int | None = None,
    perplexity: str | Path | None = None,
    perplexity_lines: str | None = None,
    seed: int = 0,
    dtype: str = "float32",
    mesh: Mesh | None = None,
    progress: bool = True,
) -> Evaluation:
    """Zero-shot accuracy on tasks and perplexity on texts, in every language; writes no files.

    The figures are those of `jaxprune evaluate`, which also translates.

    Args:
      model: any, such as the pruned `model.replace(result.params)`. Weights that do not fit on the devices are read
        block by block for each pass.
      tasks: names of ready tasks or .toml files, in a list or separated by commas.
      languages: codes of tasks and texts, in a list or separated by commas; by default all available ones.
      protocol: how options are scored: "paper", "official" or "lm_eval".
      data: replaces the tasks' own data: a folder or pattern of .jsonl or .csv files, or a hub data set id.
      rows: number of rows and lines of each language, from the beginning; all by default.
      perplexity: plain text: a folder of <language>.txt or .jsonl, or "nano".
      perplexity_lines: only these lines of it, counted from 0, as "300-499".
      seed: of the shuffle of rows under protocol="official".
      dtype: "float32" or "bfloat16", of the weights on the devices.
      mesh: devices; all by default.
      progress: show bars.

    Raises:
      InputError: no data to evaluate on; a task, language or file that does not exist or is broken; a model without
        tokenizer; a score that is NaN or +inf.
      OSError: the hub cannot be reached.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> found = jp.evaluate(model, "nano_nli", languages="en,fr", rows=20, progress=False)
      >>> french = found.tasks["nano_nli"].metrics.languages["fr"]
      >>> french.rows, 0 <= french.accuracy <= 1
      (20, True)
      >>> found.tasks["nano_nli"].scored["fr"].scores.shape  # rows, options
      (20, 3)
    """
    check_model(model)
    fields = checked(EvaluationFields, {
        "tasks": tasks, "languages": languages, "rows": rows, "protocol": protocol,
        "perplexity_lines": perplexity_lines, "data": _text(data),
        "perplexity": _text(perplexity),
    })  # fmt: skip
    check("dtype", dtype, DTYPE)
    check("seed", seed, SEED)
    config = EvaluateConfig(dtype=dtype, seed=seed, evaluation=fields)
    workload = read_workload(config, lambda _: fields.languages)
    if not workload.tasks and not workload.texts:
        raise InputError("tasks: none; allowed: names of tasks, or nothing with perplexity")
    shows = progress and hosts.is_first()
    scorer = Scorer(model, dtype=dtype, mesh=mesh, progress=shows)
    facts = {"model": str(model.folder), "dtype": dtype, "seed": seed}
    tasks_and_texts: dict[str, Any] = evaluate_all(scorer, workload, config, None, facts)
    measured = tasks_and_texts.pop(PERPLEXITY, None)
    return Evaluation(model=str(model.folder), tasks=tasks_and_texts, perplexity=measured)


def compare(a: Evaluation | str | Path, b: Evaluation | str | Path, *, seed: int = 0) -> Comparison:
    """The changes from A to B in every language, with significance tests.

    Rows are paired by their number in the data, and figures are of the rows that both have. A change is `significant`
    if McNemar's exact p, after Holm's correction over the languages of a task, is at most 0.05.

    Args:
      a: return value of `evaluate`, or a workdir of `jaxprune evaluate`. Translations and masks are compared if
        both are workdirs that have them.
      b: return value of `evaluate`, or a workdir.
      seed: of the bootstrap.

    Returns:
      The record that `jaxprune compare` writes as compare.json.

    Raises:
      InputError: no evaluation in common; other questions, protocols, texts, tokenizers or settings of translation; a
        workdir without evaluation or with broken files.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> masks = jp.masks.keep(jp.scores.magnitude(model.params), sparsity=0.6)
      >>> pruned = model.replace(jp.masks.apply(model.params, masks))
      >>> settings = {"tasks": "nano_nli", "languages": "en,fr", "rows": 10, "progress": False}
      >>> comparison = jp.compare(jp.evaluate(model, **settings), jp.evaluate(pruned, **settings))
      >>> french = comparison.tasks["nano_nli"].languages["fr"]
      >>> french.rows, french.accuracy.a >= french.accuracy.b  # dense, pruned
      (10, True)
      >>> low, high = french.interval  # of the difference
      >>> low <= french.difference <= high
      True
    """
    check("seed", seed, SEED)
    return comparison_of(Sides(_run(a), _run(b)), seed)


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)


def _run(given: Evaluation | str | Path) -> EvaluatedRun:
    """The compared parts of an evaluation in memory or in a workdir."""
    if not isinstance(given, Evaluation):
        return open_run(local_path(given))
    results: dict[str, Result | None] = {**given.tasks, PERPLEXITY: given.perplexity}
    return EvaluatedRun(
        name=given.model,
        identities={name: one.about.get(IDENTITY, {}) for name, one in results.items() if one},
        tasks={name: evaluated(one.scored, one.json()) for name, one in given.tasks.items()},
        perplexity={} if given.perplexity is None else given.perplexity.languages,
        folder=None,
    )
