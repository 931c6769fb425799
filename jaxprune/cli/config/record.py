"""The configs of all commands, and their fields."""

from collections.abc import Mapping

from jaxprune.analysis.config import AnalyzeConfig
from jaxprune.base.schema import Field, fields_of
from jaxprune.evaluation.config import EvaluateConfig
from jaxprune.search.sweeps.config import SweepConfig
from jaxprune.stats.config import JobConfig
from jaxprune.steps.configs import (
    PruneConfig,
    QuantizeConfig,
    RecoverConfig,
    ShrinkConfig,
)

# Command → its config, which has the fields that it reads.
COMMANDS: Mapping[str, type[JobConfig]] = {
    "prune": PruneConfig,
    "quantize": QuantizeConfig,
    "recover": RecoverConfig,
    "shrink": ShrinkConfig,
    "evaluate": EvaluateConfig,
    "analyze": AnalyzeConfig,
    "sweep": SweepConfig,
}
# Groups of fields and their titles, in the order of --help.
GROUPS = {
    "": "which model, and its dtype and seed",
    "calibration": "the data of the statistics",
    "pruning": "which weights to drop",
    "quantize": "for quantize: grids of the weights in model.gguf",
    "recovery": "for recover and sweep: fitting the kept weights of a pruned or smaller model",
    "shrink": "for shrink: fewer tokens, layers, neurons",
    "output": "files of a run",
    "analysis": "for analyze",
    "evaluation": "for evaluate and sweep",
    "sweep": "for sweep",
    "mesh": "how devices share the work",
}
_RULES = {path: rule for record in COMMANDS.values() for path, rule in fields_of(record).items()}
# The fields of all commands.
FIELDS: Mapping[str, Field] = {
    path: _RULES[path] for group in GROUPS for path in _RULES if path.rpartition(".")[0] == group
}
