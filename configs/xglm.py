"""XGLM, pruned with translation demonstrations as in the paper (which uses 2.9B and 7.5B).

jaxprune prune --config xglm --workdir runs/xglm
jaxprune prune --config xglm:2.9B --workdir runs/xglm-2.9B

Cost on two cores, predicted (--plan; 160 GFLOP/s): 564M 1.5 GB of memory, 6 minutes and 1.2 GB on disk; 2.9B 3.3 GB,
52 minutes and 6.5 GB; 7.5B 9.4 GB, 2.3 hours and 16.6 GB.
Expect: not measured on these models; evaluate the dense and the pruned one (docs/evaluation.md).
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

MODELS = {size: f"facebook/xglm-{size}" for size in ("564M", "1.7B", "2.9B", "4.5B", "7.5B")}


def get_config(size: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(size, MODELS, default="564M")
    return config
