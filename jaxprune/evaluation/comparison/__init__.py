"""Two evaluated runs → what changed in each language, whether it is significant, and tables of it."""

from jaxprune.evaluation.comparison.compare import (
    compare_means,
    compare_runs,
    comparison_method,
    comparison_of,
    shared_rows,
)
from jaxprune.evaluation.comparison.compare_json import (
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
    TranslationComparison,
    TranslationLanguage,
)
from jaxprune.evaluation.comparison.reading import open_run, read_run
from jaxprune.evaluation.comparison.table import (
    change_cells,
    percent_cells,
    perplexity_rows,
    probability_table,
    rankc_cells,
    translation_rows,
)
from jaxprune.evaluation.comparison.texts import compare_perplexity, compare_translations
from jaxprune.evaluation.comparison.write import comparison_text, write_comparison

__all__ = [
    "Comparison",
    "ComparisonMethod",
    "Evaluated",
    "EvaluatedRun",
    "LanguageComparison",
    "LeftOut",
    "MaskComparison",
    "MeanComparison",
    "PerplexityComparison",
    "ProbabilityComparison",
    "Sides",
    "TaskComparison",
    "TranslationComparison",
    "TranslationLanguage",
    "change_cells",
    "compare_means",
    "compare_perplexity",
    "compare_runs",
    "compare_translations",
    "comparison_method",
    "comparison_of",
    "comparison_text",
    "open_run",
    "percent_cells",
    "perplexity_rows",
    "probability_table",
    "rankc_cells",
    "read_run",
    "shared_rows",
    "translation_rows",
    "write_comparison",
]
