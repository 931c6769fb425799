"""mGPT, pruned with translation demonstrations as in the paper.

jaxprune prune --config mgpt --workdir runs/mgpt
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config


def get_config() -> ConfigDict:
    config = base_config()
    config.model = "ai-forever/mGPT"
    return config
