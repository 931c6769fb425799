"""Two evaluated runs → what changed in each language, whether it is significant, and tables of it."""

from jaxprune.evaluation.comparison.compare import (
    compare_means,
    compare_runs,
    comparison_method,
    comparison_of,
    shared_rows,
)
from jaxprune.evaluation.comparison.metrics_files import LanguageFigures, MetricsFile, read_metrics
from jaxprune.evaluation.comparison.reading import open_run, read_run
from jaxprune.evaluation.comparison.records import (
    Comparison,
    ComparisonMethod,
    Evaluated,
    EvaluatedRun,
    LanguageComparison,
    LeftOut,
    MaskComparison,
    MeanComparison,
    PerplexityComparison,
    ProbabilityComparison,
    Sides,
    TaskComparison,
    TextFigures,
    TranslationComparison,
    TranslationLanguage,
)
from jaxprune.evaluation.comparison.table import probability_table
from jaxprune.evaluation.comparison.texts import compare_perplexity, compare_translations
from jaxprune.evaluation.comparison.write import comparison_text, write_comparison

__all__ = [
    "Comparison",
    "ComparisonMethod",
    "Evaluated",
    "EvaluatedRun",
    "LanguageComparison",
    "LanguageFigures",
    "LeftOut",
    "MaskComparison",
    "MeanComparison",
    "MetricsFile",
    "PerplexityComparison",
    "ProbabilityComparison",
    "Sides",
    "TaskComparison",
    "TextFigures",
    "TranslationComparison",
    "TranslationLanguage",
    "compare_means",
    "compare_perplexity",
    "compare_runs",
    "compare_translations",
    "comparison_method",
    "comparison_of",
    "comparison_text",
    "open_run",
    "probability_table",
    "read_metrics",
    "read_run",
    "shared_rows",
    "write_comparison",
]
