"""A config → the memory, operations and time that a run needs, before anything is loaded."""

from jaxprune.runs.planning.config import PruneConfig
from jaxprune.runs.planning.costs import CHIPS
from jaxprune.runs.planning.plan import check_fits, plan_from_config, plan_of, print_plan

__all__ = [
    "CHIPS",
    "PruneConfig",
    "check_fits",
    "plan_from_config",
    "plan_of",
    "print_plan",
]
