"""Questions and texts → log-probabilities of their tokens → measurements."""

from jaxprune.evaluation.scoring.crossed import OverDraws as OverDraws
from jaxprune.evaluation.scoring.crossed import over_draws as over_draws
from jaxprune.evaluation.scoring.forest import Forest as Forest
from jaxprune.evaluation.scoring.forest import common_prefix as common_prefix
from jaxprune.evaluation.scoring.forest import pack_forests as pack_forests
from jaxprune.evaluation.scoring.metrics import ALPHA as ALPHA
from jaxprune.evaluation.scoring.metrics import CONFIDENCE as CONFIDENCE
from jaxprune.evaluation.scoring.metrics import RESAMPLES as RESAMPLES
from jaxprune.evaluation.scoring.metrics import cluster_values as cluster_values
from jaxprune.evaluation.scoring.metrics import holm as holm
from jaxprune.evaluation.scoring.metrics import mcnemar as mcnemar
from jaxprune.evaluation.scoring.metrics import paired_bootstrap as paired_bootstrap
from jaxprune.evaluation.scoring.metrics import ratio_interval as ratio_interval
from jaxprune.evaluation.scoring.metrics import task_measurements as task_measurements
from jaxprune.evaluation.scoring.options import Encoded as Encoded
from jaxprune.evaluation.scoring.options import encode_questions as encode_questions
from jaxprune.evaluation.scoring.options import option_scores as option_scores
from jaxprune.evaluation.scoring.options import prefix_token as prefix_token
from jaxprune.evaluation.scoring.options import question_scores as question_scores
from jaxprune.evaluation.scoring.parts import weights_size as weights_size
from jaxprune.evaluation.scoring.perplexity import LARGEST_LOG as LARGEST_LOG
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY as PERPLEXITY
from jaxprune.evaluation.scoring.perplexity import Perplexity as Perplexity
from jaxprune.evaluation.scoring.perplexity import PlainText as PlainText
from jaxprune.evaluation.scoring.perplexity import perplexity as perplexity
from jaxprune.evaluation.scoring.perplexity import (
    perplexity_measurements as perplexity_measurements,
)
from jaxprune.evaluation.scoring.perplexity import text_languages as text_languages
from jaxprune.evaluation.scoring.perplexity import texts as texts
from jaxprune.evaluation.scoring.perplexity import values_of_parts as values_of_parts
from jaxprune.evaluation.scoring.perplexity import windows_of as windows_of
from jaxprune.evaluation.scoring.priors import ROW_VALUES as ROW_VALUES
from jaxprune.evaluation.scoring.priors import within_groups as within_groups
from jaxprune.evaluation.scoring.scorer import Scorer as Scorer
from jaxprune.evaluation.scoring.scores import Scored as Scored
from jaxprune.evaluation.scoring.scores import check_scores as check_scores
from jaxprune.evaluation.scoring.vocabulary import slices as slices
