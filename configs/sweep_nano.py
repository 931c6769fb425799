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
    config.sweep.grid = {
        "pruning.criterion": ["random", "magnitude", "wanda"],
        "calibration.kind": ["monolingual", "translation"],
        "calibration.source": ["en", "fr", "es", "de", "sw"],
        "pruning.sparsity": [0.3, 0.5],
    }
    return config
