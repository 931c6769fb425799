"""A config and a model → scores, perplexity and translations of every language in a workdir."""

from jaxprune.evaluation.config import EvaluateConfig
from jaxprune.evaluation.evaluate import (
    evaluate_all,
    evaluate_from_config,
    facts,
    named_tasks,
    plain_texts,
    protocol_of,
    read_tasks,
    scorer_of,
    translations,
)
from jaxprune.evaluation.folders import clear_folders
from jaxprune.evaluation.identity import Workload, content_digests, identities

__all__ = [
    "EvaluateConfig",
    "Workload",
    "clear_folders",
    "content_digests",
    "evaluate_all",
    "evaluate_from_config",
    "facts",
    "identities",
    "named_tasks",
    "plain_texts",
    "protocol_of",
    "read_tasks",
    "scorer_of",
    "translations",
]
