"""Two evaluated runs → what changed in each language, whether it is significant, and tables of it."""

from jaxprune.evaluation.comparison.compare import (
    Evaluated,
    compare_means,
    compare_runs,
    paired,
    read_run,
)
from jaxprune.evaluation.comparison.table import pipes, table, write
from jaxprune.evaluation.comparison.texts import compare_perplexity, compare_translations

__all__ = [
    "Evaluated",
    "compare_means",
    "compare_perplexity",
    "compare_runs",
    "compare_translations",
    "paired",
    "pipes",
    "read_run",
    "table",
    "write",
]
