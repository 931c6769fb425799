"""A config → the estimated memory, operations and time of a run, before anything is loaded."""

from jaxprune.runs.planning.checked import by_path as by_path
from jaxprune.runs.planning.checked import config_of as config_of
from jaxprune.runs.planning.checked import consistent as consistent
from jaxprune.runs.planning.checked import unknown_field as unknown_field
from jaxprune.runs.planning.config import BlocksConfig as BlocksConfig
from jaxprune.runs.planning.config import OutputFields as OutputFields
from jaxprune.runs.planning.config import PruneConfig as PruneConfig
from jaxprune.runs.planning.config import RecoverConfig as RecoverConfig
from jaxprune.runs.planning.config import ShrinkConfig as ShrinkConfig
from jaxprune.runs.planning.costs import CHIPS as CHIPS
from jaxprune.runs.planning.costs import chip_of as chip_of
from jaxprune.runs.planning.plan import check_fits as check_fits
from jaxprune.runs.planning.plan import plan_from_config as plan_from_config
from jaxprune.runs.planning.plan import plan_of as plan_of
from jaxprune.runs.planning.plan import print_plan as print_plan
