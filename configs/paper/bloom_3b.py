"""Tables 1 to 4 of the paper for BLOOM-3B, on a machine with a TPU or GPU; see docs/sweep.md.

jaxprune sweep --config paper/bloom_3b --workdir runs/paper/bloom_3b

Cost: 17 prunings of 1.7 hours each on two cores, predicted (--plan; 160 GFLOP/s), and as many evaluations, which take
longer.
Expect: the tables of the paper; not run here.
"""

from ml_collections import ConfigDict

from jaxprune.config import paper_sweep


def get_config() -> ConfigDict:
    config = paper_sweep("bigscience/bloom-3b")
    config.calibration.code = "thomwolf/github-python"
    config.sweep.grid["pruning.criterion"].append("refined")
    config.sweep.grid["calibration.kind"].append("translation_vs_code")
    return config
