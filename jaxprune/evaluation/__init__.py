"""A config and a model → scores, perplexity and translations of every language, and their changes between runs."""

from jaxprune.evaluation.config import EvaluateConfig as EvaluateConfig
from jaxprune.evaluation.config import EvaluationFields as EvaluationFields
from jaxprune.evaluation.evaluate import evaluate_all as evaluate_all
from jaxprune.evaluation.evaluate import facts_of as facts_of
from jaxprune.evaluation.evaluate import scorer_of as scorer_of
from jaxprune.evaluation.evaluation import Evaluation as Evaluation
from jaxprune.evaluation.evaluation import Part as Part
from jaxprune.evaluation.folders import clear_folders as clear_folders
from jaxprune.evaluation.folders import open_evaluation as open_evaluation
from jaxprune.evaluation.identity import content_digests as content_digests
from jaxprune.evaluation.identity import identities as identities
from jaxprune.evaluation.measurements import Measurement as Measurement
from jaxprune.evaluation.measurements import evaluated_folders as evaluated_folders
from jaxprune.evaluation.measurements import read_evaluation as read_evaluation
from jaxprune.evaluation.measurements import read_measurements as read_measurements
from jaxprune.evaluation.workload import protocol_of as protocol_of
from jaxprune.evaluation.workload import read_workload as read_workload
