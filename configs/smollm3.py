"""SmolLM3 3B, pruned with translation demonstrations.

jaxprune prune --config smollm3 --workdir runs/smollm3
jaxprune prune --config smollm3:3B --workdir runs/smollm3-instruct

Cost on two cores, predicted (--plan; 160 GFLOP/s): 4.1 GB of memory, 1 hour and 6.9 GB on disk.
Expect: not measured on these models; evaluate the dense and the pruned one (docs/evaluation.md).
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

MODELS = {name: f"HuggingFaceTB/SmolLM3-{name}" for name in ("3B-Base", "3B")}


def get_config(size: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(size, MODELS, default="3B-Base")
    return config
