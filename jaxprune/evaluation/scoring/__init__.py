"""Questions and texts → log-probabilities of their tokens → accuracy, RankC, perplexity."""

from jaxprune.evaluation.scoring.forest import Forest, pack_forests
from jaxprune.evaluation.scoring.metrics import (
    ALPHA,
    CONFIDENCE,
    RESAMPLES,
    holm,
    mcnemar,
    paired_bootstrap,
    ratio_interval,
    task_metrics,
)
from jaxprune.evaluation.scoring.options import (
    Encoded,
    encode_questions,
    option_scores,
    question_scores,
)
from jaxprune.evaluation.scoring.perplexity import (
    PERPLEXITY,
    Perplexity,
    perplexity,
    text_languages,
    texts,
)
from jaxprune.evaluation.scoring.scorer import Scorer, TokenScores
from jaxprune.evaluation.scoring.scores import (
    Difference,
    Interval,
    LanguageAccuracy,
    RankC,
    Scored,
    TaskMetrics,
    check_scores,
)
from jaxprune.evaluation.scoring.vocabulary import slices

__all__ = [
    "ALPHA",
    "CONFIDENCE",
    "PERPLEXITY",
    "RESAMPLES",
    "Difference",
    "Encoded",
    "Forest",
    "Interval",
    "LanguageAccuracy",
    "Perplexity",
    "RankC",
    "Scored",
    "Scorer",
    "TaskMetrics",
    "TokenScores",
    "check_scores",
    "encode_questions",
    "holm",
    "mcnemar",
    "option_scores",
    "pack_forests",
    "paired_bootstrap",
    "perplexity",
    "question_scores",
    "ratio_interval",
    "slices",
    "task_metrics",
    "text_languages",
    "texts",
]
