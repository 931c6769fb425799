"""The bundled micro-models; needs no network and takes seconds. Argument: xglm (default), bloom, gpt2.

jaxprune prune --config nano --workdir runs/nano
jaxprune evaluate --config nano --workdir runs/nano --config.model=runs/nano/hf
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick
from jaxprune.nano import CHECKPOINTS


def get_config(architecture: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(architecture, CHECKPOINTS, default="xglm")
    config.calibration.data = "nano"
    config.evaluation.tasks = "nano_nli,nano_reviews"
    return config
