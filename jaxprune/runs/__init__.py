"""A config → a workdir: a complete run of pruning, recovery or shrinking, its outputs, resuming and verification."""

from jaxprune.runs.analyze import analyze_from_config as analyze_from_config
from jaxprune.runs.block_writer import check_outputs as check_outputs
from jaxprune.runs.evaluate import evaluate_from_config as evaluate_from_config
from jaxprune.runs.pipeline import calibration_batches as calibration_batches
from jaxprune.runs.pipeline import prune_from_config as prune_from_config
from jaxprune.runs.pipeline import prune_to_workdir as prune_to_workdir
from jaxprune.runs.pruned_model import model_digest as model_digest
from jaxprune.runs.pruned_model import pruned_model as pruned_model
from jaxprune.runs.recover import recover_from_config as recover_from_config
from jaxprune.runs.shrink import shrink_from_config as shrink_from_config
from jaxprune.runs.verify import verify as verify
