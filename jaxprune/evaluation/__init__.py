"""A config and a model → scores, perplexity and translations of every language in a workdir."""

from jaxprune.evaluation.evaluate import (
    AskedTask,
    clear,
    evaluate_from_config,
    evaluate_task,
    facts,
    protocol_of,
    read_tasks,
    scorer_of,
    translations,
)
from jaxprune.evaluation.fields import FIELDS

__all__ = [
    "FIELDS",
    "AskedTask",
    "clear",
    "evaluate_from_config",
    "evaluate_task",
    "facts",
    "protocol_of",
    "read_tasks",
    "scorer_of",
    "translations",
]
