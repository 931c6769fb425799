"""A job → the run of its workdir: its identity, opened, resumed and put in place."""

from jaxprune.ledger.identity import run_identity as run_identity
from jaxprune.ledger.identity import shrink_identity as shrink_identity
from jaxprune.ledger.run import COMMIT as COMMIT
from jaxprune.ledger.run import FIT as FIT
from jaxprune.ledger.run import SWEEP as SWEEP
from jaxprune.ledger.run import Run as Run
from jaxprune.ledger.run import UnfinishedError as UnfinishedError
from jaxprune.ledger.run import of_unfinished_run as of_unfinished_run
from jaxprune.ledger.run import open_run as open_run
from jaxprune.ledger.run import open_workdir as open_workdir
