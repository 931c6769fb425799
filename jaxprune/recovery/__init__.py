"""A pruned model, the dense one and samples → the pruned model with kept weights, norms and biases fitted again."""

from jaxprune.recovery.config import RecoveryFields as RecoveryFields
from jaxprune.recovery.fit import Saved as Saved
from jaxprune.recovery.recover import recover_blocks as recover_blocks
