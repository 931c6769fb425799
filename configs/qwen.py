"""Qwen2.5 and Qwen3, pruned with translation demonstrations.

jaxprune prune --config qwen --workdir runs/qwen
jaxprune prune --config qwen:Qwen3-0.6B --workdir runs/qwen3

Cost on two cores, predicted (--plan; 160 GFLOP/s): 0.5B 1.4 GB of memory, 8 minutes and 1.1 GB on disk; 7B and 8B 10
GB, 2.5 hours and 18 GB.
Expect: not measured on these models; evaluate the dense and the pruned one (docs/evaluation.md).
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

_NAMES = [
    *(f"Qwen2.5-{size}" for size in ("0.5B", "1.5B", "3B", "7B")),
    *(f"Qwen3-{size}-Base" for size in ("0.6B", "1.7B", "4B", "8B")),
    *(f"Qwen3-{size}" for size in ("0.6B", "1.7B", "4B", "8B")),
]
MODELS = {name: f"Qwen/{name}" for name in _NAMES}


def get_config(name: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(name, MODELS, default="Qwen2.5-0.5B")
    return config
