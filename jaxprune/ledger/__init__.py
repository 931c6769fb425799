"""A workdir → whose files it holds, of which run, and whether all are as they were written."""

from jaxprune.ledger.identity import agree as agree
from jaxprune.ledger.identity import difference as difference
from jaxprune.ledger.identity import run_identity as run_identity
from jaxprune.ledger.json_files import CONFIG as CONFIG
from jaxprune.ledger.json_files import REPORT as REPORT
from jaxprune.ledger.json_files import CalibrationSettings as CalibrationSettings
from jaxprune.ledger.json_files import Compiled as Compiled
from jaxprune.ledger.json_files import PruningSettings as PruningSettings
from jaxprune.ledger.json_files import Report as Report
from jaxprune.ledger.json_files import RunConfig as RunConfig
from jaxprune.ledger.json_files import ScoreOrigin as ScoreOrigin
from jaxprune.ledger.json_files import Sparsity as Sparsity
from jaxprune.ledger.progress import PROGRESS as PROGRESS
from jaxprune.ledger.progress import begun_with as begun_with
from jaxprune.ledger.progress import unfinished_run as unfinished_run
from jaxprune.ledger.publish import check_workdir as check_workdir
from jaxprune.ledger.publish import publish as publish
from jaxprune.ledger.workdir import MODEL_DIGEST as MODEL_DIGEST
from jaxprune.ledger.workdir import check_scored_model as check_scored_model
from jaxprune.ledger.workdir import complete_run as complete_run
from jaxprune.ledger.workdir import file_faults as file_faults
from jaxprune.ledger.workdir import has_card as has_card
from jaxprune.ledger.workdir import is_complete as is_complete
from jaxprune.ledger.workdir import pruned_digest as pruned_digest
from jaxprune.ledger.workdir import read_report as read_report
from jaxprune.ledger.workdir import read_score_origin as read_score_origin
