"""XGLM, pruned with translation demonstrations as in the paper (which uses 2.9B and 7.5B).

jaxprune prune --config xglm --workdir runs/xglm
jaxprune prune --config xglm:2.9B --workdir runs/xglm-2.9B
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

MODELS = {size: f"facebook/xglm-{size}" for size in ("564M", "1.7B", "2.9B", "4.5B", "7.5B")}


def get_config(size: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(size, MODELS, default="564M")
    return config
