"""Apertus (Swiss AI), pruned with translation demonstrations.

jaxprune prune --config apertus --workdir runs/apertus
jaxprune prune --config apertus:70B-2509 --workdir runs/apertus-70b

Cost on two cores, predicted (--plan; 160 GFLOP/s): 8B 10 GB of memory, 2.5 hours and 18 GB on disk; 70B 41 GB, 24
hours and 158 GB.
Expect: not measured on these models; evaluate the dense and the pruned one (docs/evaluation.md).
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

_SIZES = [f"{size}{kind}-2509" for size in ("8B", "70B") for kind in ("", "-Instruct")]
MODELS = {size: f"swiss-ai/Apertus-{size}" for size in _SIZES}


def get_config(size: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(size, MODELS, default="8B-2509")
    return config
