"""Mistral 7B and models of its architecture, pruned with translation demonstrations.

jaxprune prune --config mistral --workdir runs/mistral
jaxprune prune --config mistral:Nemo-2407 --workdir runs/nemo

Cost on two cores, predicted (--plan; 160 GFLOP/s): 7B 9.8 GB of memory, 2.5 hours and 16 GB on disk.
Expect: not measured on these models; evaluate the dense and the pruned one (docs/evaluation.md).
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

MODELS = {
    **{f"7B-{v}": f"mistralai/Mistral-7B-{v}" for v in ("v0.1", "v0.3", "Instruct-v0.3")},
    "Nemo-2407": "mistralai/Mistral-Nemo-Base-2407",
}


def get_config(size: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(size, MODELS, default="7B-v0.3")
    return config
