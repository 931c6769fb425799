"""A workdir on disk → its run, whether that is complete, and who may write."""

from jaxprune.base.workdir.differences import difference as difference
from jaxprune.base.workdir.differences import inputs as inputs
from jaxprune.base.workdir.differences import shortened as shortened
from jaxprune.base.workdir.json_files import CONFIG as CONFIG
from jaxprune.base.workdir.json_files import EVALUATION as EVALUATION
from jaxprune.base.workdir.json_files import REPORT as REPORT
from jaxprune.base.workdir.json_files import Report as Report
from jaxprune.base.workdir.locks import PROGRESS as PROGRESS
from jaxprune.base.workdir.locks import LockedError as LockedError
from jaxprune.base.workdir.locks import locked as locked
from jaxprune.base.workdir.reading import MODEL_DIGEST as MODEL_DIGEST
from jaxprune.base.workdir.reading import OUTPUTS as OUTPUTS
from jaxprune.base.workdir.reading import ChangedReportError as ChangedReportError
from jaxprune.base.workdir.reading import check_scored_model as check_scored_model
from jaxprune.base.workdir.reading import check_workdir as check_workdir
from jaxprune.base.workdir.reading import file_faults as file_faults
from jaxprune.base.workdir.reading import has_card as has_card
from jaxprune.base.workdir.reading import is_complete as is_complete
from jaxprune.base.workdir.reading import pruned_digest as pruned_digest
from jaxprune.base.workdir.reading import read_config as read_config
from jaxprune.base.workdir.reading import read_report as read_report
