"""mGPT, pruned with translation demonstrations as in the paper.

jaxprune prune --config mgpt --workdir runs/mgpt

Cost on two cores, predicted (--plan; 160 GFLOP/s): 2.8 GB of memory, 26 minutes and 6.0 GB on disk.
Expect: not measured on these models; evaluate the dense and the pruned one (docs/evaluation.md).
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config


def get_config() -> ConfigDict:
    config = base_config()
    config.model = "ai-forever/mGPT"
    return config
