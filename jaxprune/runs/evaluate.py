"""A config → a workdir with the folders of an evaluation."""

from pathlib import Path

from flax.traverse_util import flatten_dict

from jaxprune.base.workdir.reading import MODEL_DIGEST
from jaxprune.devices import hosts
from jaxprune.evaluation.config import EvaluateConfig
from jaxprune.evaluation.evaluate import evaluate_all, facts_of, scorer_of
from jaxprune.evaluation.evaluation import Evaluation
from jaxprune.evaluation.folders import clear_folders
from jaxprune.evaluation.identity import identities
from jaxprune.evaluation.workload import read_workload
from jaxprune.runs.run import open_workdir


def evaluate_from_config(
    config: EvaluateConfig, workdir: Path, *, overwrite: bool = False
) -> Evaluation:
    """Evaluates a model on all data that `config.evaluation` names.

    All rows and texts are read before the model, so that faults in them are reported at once.

    Args:
      config: validated.
      workdir: receives a folder for each task (see `evaluate_all`), `perplexity/` and `translation/`. A folder appears
        when it is complete. The same evaluation is repeated.
      overwrite: replace the scores of another model, or of other questions or settings.

    Raises:
      InputError: config, model or data do not fit; another job writes to the workdir; a folder has the scores of
        another evaluation; processes have different jobs.
    """
    fields = config.evaluation
    workload = read_workload(config, lambda _: fields.languages)
    model = config.open_model()
    scorer = scorer_of(model, config)
    by_folder = identities(workload, model, config.dtype)
    facts = facts_of(config, model, fields.name or workdir.resolve().name)
    identity = {MODEL_DIGEST: facts[MODEL_DIGEST], **flatten_dict(by_folder, sep=" ")}
    with open_workdir(workdir, identity):
        if hosts.is_first():
            clear_folders(workdir, by_folder, model, overwrite)
        return evaluate_all(scorer, workload, config, workdir, facts)
