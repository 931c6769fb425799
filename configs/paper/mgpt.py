"""Tables 1 to 4 of the paper for mGPT, on a machine with a TPU or GPU; see docs/sweep.md.

jaxprune sweep --config paper/mgpt --workdir runs/paper/mgpt
"""

from ml_collections import ConfigDict

from jaxprune.config import paper_sweep


def get_config() -> ConfigDict:
    return paper_sweep("ai-forever/mGPT")
