"""Two evaluated runs → the change in each language, its significance, and tables."""

from jaxprune.evaluation.comparison.compare import change_values as change_values
from jaxprune.evaluation.comparison.compare import compare_means as compare_means
from jaxprune.evaluation.comparison.compare import compare_runs as compare_runs
from jaxprune.evaluation.comparison.compare import comparison_method as comparison_method
from jaxprune.evaluation.comparison.compare import comparison_of as comparison_of
from jaxprune.evaluation.comparison.compare import shared_rows as shared_rows
from jaxprune.evaluation.comparison.compare_json import Comparison as Comparison
from jaxprune.evaluation.comparison.compare_json import ComparisonMethod as ComparisonMethod
from jaxprune.evaluation.comparison.compare_json import LanguageComparison as LanguageComparison
from jaxprune.evaluation.comparison.compare_json import MaskComparison as MaskComparison
from jaxprune.evaluation.comparison.compare_json import MeanComparison as MeanComparison
from jaxprune.evaluation.comparison.compare_json import PerplexityComparison as PerplexityComparison
from jaxprune.evaluation.comparison.compare_json import Sides as Sides
from jaxprune.evaluation.comparison.compare_json import TaskComparison as TaskComparison
from jaxprune.evaluation.comparison.compare_json import (
    TranslationComparison as TranslationComparison,
)
from jaxprune.evaluation.comparison.compare_json import TranslationLanguage as TranslationLanguage
from jaxprune.evaluation.comparison.reading import Evaluated as Evaluated
from jaxprune.evaluation.comparison.reading import EvaluatedRun as EvaluatedRun
from jaxprune.evaluation.comparison.reading import evaluated as evaluated
from jaxprune.evaluation.comparison.reading import open_run as open_run
from jaxprune.evaluation.comparison.table import Figures as Figures
from jaxprune.evaluation.comparison.table import change_cells as change_cells
from jaxprune.evaluation.comparison.table import evaluation_notes as evaluation_notes
from jaxprune.evaluation.comparison.table import left_out_notes as left_out_notes
from jaxprune.evaluation.comparison.table import measure_tables as measure_tables
from jaxprune.evaluation.comparison.table import partial_notes as partial_notes
from jaxprune.evaluation.comparison.table import percent_cells as percent_cells
from jaxprune.evaluation.comparison.table import perplexity_rows as perplexity_rows
from jaxprune.evaluation.comparison.table import rankc_cells as rankc_cells
from jaxprune.evaluation.comparison.table import translation_rows as translation_rows
from jaxprune.evaluation.comparison.table import vanished as vanished
from jaxprune.evaluation.comparison.write import comparison_text as comparison_text
from jaxprune.evaluation.comparison.write import write_comparison as write_comparison
