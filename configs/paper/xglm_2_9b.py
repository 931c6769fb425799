"""Tables 1 to 4 of the paper for XGLM-2.9B, on a machine with a TPU or GPU; see docs/sweep.md.

jaxprune sweep --config paper/xglm_2_9b --workdir runs/paper/xglm_2_9b
"""

from ml_collections import ConfigDict

from jaxprune.config import paper_sweep


def get_config() -> ConfigDict:
    return paper_sweep("facebook/xglm-2.9B")
