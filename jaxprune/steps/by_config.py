"""The config of a command → its step."""

from collections.abc import Callable, Mapping
from typing import Any

from jaxprune.stats.config import JobConfig
from jaxprune.steps.configs import (
    PruneConfig,
    QuantizeConfig,
    RecoverConfig,
    ShrinkConfig,
)
from jaxprune.steps.prune import Prune
from jaxprune.steps.quantize import Quantize
from jaxprune.steps.recover import Recover
from jaxprune.steps.shrink import Shrink
from jaxprune.steps.step import BlockStep, FolderStep

_STEPS: Mapping[type[JobConfig], Callable[[Any], BlockStep | FolderStep]] = {
    PruneConfig: Prune,
    QuantizeConfig: Quantize,
    RecoverConfig: Recover,
    ShrinkConfig: Shrink,
}


def step_of(config: JobConfig) -> BlockStep | FolderStep:
    """The step with these settings."""
    return _STEPS[type(config)](config)
