"""A config and a model → scores, perplexity and translations of every language in a workdir."""

from jaxprune.evaluation.config import EvaluateConfig
from jaxprune.evaluation.evaluate import (
    evaluate_from_config,
    evaluate_perplexity,
    evaluate_task,
    facts,
    named_tasks,
    plain_texts,
    protocol_of,
    read_tasks,
    scorer_of,
    translations,
)
from jaxprune.evaluation.folders import clear_folders
from jaxprune.evaluation.identity import content_digests, identities
from jaxprune.evaluation.records import TaskQuestions

__all__ = [
    "EvaluateConfig",
    "TaskQuestions",
    "clear_folders",
    "content_digests",
    "evaluate_from_config",
    "evaluate_perplexity",
    "evaluate_task",
    "facts",
    "identities",
    "named_tasks",
    "plain_texts",
    "protocol_of",
    "read_tasks",
    "scorer_of",
    "translations",
]
