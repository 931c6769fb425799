"""The bundled micro-models; needs no network. Argument: xglm (default), bloom, gpt2.

jaxprune prune --config nano --workdir runs/nano
jaxprune evaluate --config nano --workdir runs/nano --config.model=runs/nano/hf

Cost: 10 seconds and 0.5 GB of memory on two cores.
Expect: nothing about languages; the models are for tests.
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
