"""A model → an `Evaluation`; several → a `Comparison`. The Python API of the commands evaluate and compare."""

from collections.abc import Sequence
from pathlib import Path

from jax.sharding import Mesh

from jaxprune.base.schema import check, checked
from jaxprune.data.config import SEED
from jaxprune.devices import hosts
from jaxprune.evaluation.comparison import Comparison, compare_evaluations
from jaxprune.evaluation.config import EvaluateConfig, EvaluationFields
from jaxprune.evaluation.evaluate import evaluate_all
from jaxprune.evaluation.evaluation import Evaluation
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.evaluation.workload import read_workload
from jaxprune.hf.model import Model, check_model
from jaxprune.stats.blocks import DTYPE


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
    name: str | None = None,
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
      protocol: scoring of the options: "paper", "official" or "lm_eval".
      data: replaces the tasks' own data: a folder or pattern of .jsonl or .csv files, or a hub data set id.
      rows: number of rows and lines of each language, from the beginning; all by default.
      perplexity: plain text: a folder of <language>.txt or .jsonl, or "nano".
      perplexity_lines: only these lines of it, counted from 0, as "300-499".
      name: name of the run in tables; by default the name of the model's folder.
      seed: seed of the shuffle of rows under protocol="official".
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
      >>> evaluation = jp.evaluate(model, "nano_nli", languages="en,fr", rows=20, progress=False)
      >>> bool(0 <= evaluation.table.loc["nano_nli", "fr"]["accuracy"] <= 1)
      True
      >>> evaluation.parts["nano_nli"].rows["fr"].scores.shape  # rows, options
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
    shows = progress and hosts.is_first()
    scorer = Scorer(model, dtype=dtype, mesh=mesh, progress=shows)
    facts = {"run": name or model.folder.name, "model": str(model.folder), "dtype": dtype}
    return evaluate_all(scorer, workload, config, None, {**facts, "seed": seed})


def compare(*runs: Evaluation | str | Path, seed: int = 0) -> Comparison:
    """The changes from the first of several runs, the base, to each other in every language, with significance tests.

    A change of accuracy is significant if McNemar's exact p, after Holm's correction over the languages of a task, is
    at most 0.05.

    Args:
      runs: two or more: return values of `evaluate`, or workdirs of `jaxprune evaluate`.
      seed: seed of the bootstrap.

    Raises:
      InputError: fewer than two runs; no evaluation in common; other rows, protocols, texts or tokenizers; a
        workdir without evaluation or with broken files.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> masks = jp.masks.keep(jp.scores.magnitude(model.params), sparsity=0.6)
      >>> pruned = model.replace(jp.masks.apply(model.params, masks))
      >>> settings = {"tasks": "nano_nli", "languages": "en,fr", "rows": 10, "progress": False}
      >>> dense = jp.evaluate(model, **settings, name="dense")
      >>> comparison = jp.compare(dense, jp.evaluate(pruned, **settings, name="pruned"))
      >>> french = comparison.table.loc["nano_nli", "accuracy", "fr"]
      >>> bool(french["dense", "value"] >= french["pruned", "value"])
      True
      >>> low, high = french["pruned", "low"], french["pruned", "high"]  # of the difference
      >>> bool(low <= french["pruned", "difference"] <= high)
      True
    """
    check("seed", seed, SEED)
    opened = [run if isinstance(run, Evaluation) else open_evaluation(run) for run in runs]
    return compare_evaluations(opened, seed)


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)
