"""Aya and Command R (Cohere, Cohere 2), pruned with translation demonstrations.

jaxprune prune --config aya --workdir runs/aya
jaxprune prune --config aya:command-r7b --workdir runs/command-r7b

Cost on two cores, predicted (--plan; 160 GFLOP/s): 8B and command-r7b 10 GB of memory, 2.5 hours and 18 GB on disk;
32B 33 GB, 11 hours and 72 GB.
Expect: not measured on these models; evaluate the dense and the pruned one (docs/evaluation.md).
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

MODELS = {
    "expanse-8b": "CohereLabs/aya-expanse-8b",
    "expanse-32b": "CohereLabs/aya-expanse-32b",
    "23-8B": "CohereLabs/aya-23-8B",
    "23-35B": "CohereLabs/aya-23-35B",
    "command-r7b": "CohereLabs/c4ai-command-r7b-12-2024",
}


def get_config(size: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(size, MODELS, default="expanse-8b")
    return config
