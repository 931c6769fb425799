"""Tables 1 to 4 of the paper for mGPT, on a machine with a TPU or GPU; see docs/sweep.md.

python scripts/sweep.py --config configs/paper/mgpt.py --workdir runs/paper/mgpt
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config


def get_config() -> ConfigDict:
    config = base_config()
    config.model = "ai-forever/mGPT"
    config.evaluation.tasks = "xnli,marc2"
    config.output.hf = False
    config.sweep.sparsities = "0.3"
    config.sweep.calibrations = "dense,random,monolingual,translation,lrp2"
    config.sweep.languages = "en,fr,es,zh,hi,sw"
    config.evaluation.translation = "xnli"
    return config
