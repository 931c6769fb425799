"""A pruned or smaller model, the dense one and samples → its kept weights, norms and biases, fitted again."""

from jaxprune.recovery.config import FitFields as FitFields
from jaxprune.recovery.config import RecoveryFields as RecoveryFields
from jaxprune.recovery.recover import recover_blocks as recover_blocks
from jaxprune.recovery.task import Task as Task
from jaxprune.recovery.task import whole_layers as whole_layers
