"""BLOOM with the refined metric: translation features against code features (section 5 of the paper).

jaxprune prune --config bloom --workdir runs/bloom
jaxprune prune --config bloom:3b --workdir runs/bloom-3b

Cost on two cores, predicted (--plan; 160 GFLOP/s): 560m 1.7 GB of memory, 13 minutes and 1.2 GB on disk; 3b 4.9 GB,
1.7 hours and 6.6 GB; 7b1 12.3 GB, 4.3 hours and 15.6 GB.
Expect: not measured on these models; evaluate the dense and the pruned one (docs/evaluation.md).
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
