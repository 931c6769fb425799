"""A sweep of a bundled micro-model; needs no network and takes minutes. Argument: xglm (default), bloom, gpt2.

jaxprune sweep --config sweep_nano --workdir runs/sweep_nano
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick
from jaxprune.nano import CHECKPOINTS


def get_config(architecture: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(architecture, CHECKPOINTS, default="xglm")
    config.calibration.data = "nano"
    config.evaluation.tasks = "nano_nli,nano_reviews"
    config.evaluation.rows = 1000
    config.output.hf = False
    config.evaluation.translation = "nano"
    config.evaluation.translation_rows = 200
    config.sweep.sparsities = "0.3,0.5"
    config.sweep.calibrations = "dense,random,magnitude,monolingual,translation,lrp2"
    return config
