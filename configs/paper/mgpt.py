"""Tables 1 to 4 of the paper for mGPT, on a machine with a TPU or GPU; see docs/sweep.md.

jaxprune sweep --config paper/mgpt --workdir runs/paper/mgpt

Cost: 12 prunings of 26 minutes each on two cores, predicted (--plan; 160 GFLOP/s), and as many evaluations, which
take longer.
Expect: the tables of the paper; not run here.
"""

from ml_collections import ConfigDict

from jaxprune.config import paper_sweep


def get_config() -> ConfigDict:
    return paper_sweep("ai-forever/mGPT")
