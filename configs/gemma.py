"""Gemma 3 and Gemma 2, pruned with translation demonstrations; a size without 2- or 3- is one of Gemma 3.

jaxprune prune --config gemma --workdir runs/gemma
jaxprune prune --config gemma:4b-pt --workdir runs/gemma-4b

Cost on two cores, predicted (--plan; 160 GFLOP/s): 270m 1.1 GB of memory, 2 minutes and 0.6 GB on disk; 1b 2.1 GB, 15
minutes and 2.2 GB; 4b 5.0 GB, 1.1 hours and 8.6 GB; 27b 20 GB, 9 hours and 60 GB.
Expect: perplexity of 270m at 50%: 2.67 times the dense model's with wanda, 2.18 with sparsegpt (docs/study.md).
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

_SIZES = [
    *(f"3-{size}" for size in ("270m", "270m-it")),
    *(f"3-{size}-{kind}" for size in ("1b", "4b", "12b", "27b") for kind in ("pt", "it")),
    *(f"2-{size}{kind}" for size in ("2b", "9b", "27b") for kind in ("", "-it")),
]
MODELS = {size: f"google/gemma-{size}" for size in _SIZES}
MODELS |= {size.removeprefix("3-"): MODELS[size] for size in _SIZES if size.startswith("3-")}


def get_config(size: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(size, MODELS, default="3-270m")
    return config
