"""BLOOM with the refined metric: translation features against code features (section 5 of the paper).

jaxprune prune --config bloom --workdir runs/bloom
jaxprune prune --config bloom:3b --workdir runs/bloom-3b
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

MODELS = {size: f"bigscience/bloom-{size}" for size in ("560m", "1b1", "1b7", "3b", "7b1")}


def get_config(size: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(size, MODELS, default="560m")
    config.calibration.kind = "translation_vs_code"
    config.calibration.code = "thomwolf/github-python"
    config.pruning.criterion = "refined"
    return config
