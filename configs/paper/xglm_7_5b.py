"""Tables 1 to 4 of the paper for XGLM-7.5B, on a machine with a TPU or GPU; see docs/sweep.md.

jaxprune sweep --config paper/xglm_7_5b --workdir runs/paper/xglm_7_5b

Cost: 12 prunings of 2.3 hours each on two cores, predicted (--plan; 160 GFLOP/s), and as many evaluations, which take
longer.
Expect: the tables of the paper; not run here.
"""

from ml_collections import ConfigDict

from jaxprune.config import paper_sweep


def get_config() -> ConfigDict:
    config = paper_sweep("facebook/xglm-7.5B")
    config.dtype = "bfloat16"  # translation needs all weights on each device
    return config
