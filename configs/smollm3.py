"""SmolLM3 3B, pruned with translation demonstrations.

jaxprune prune --config smollm3 --workdir runs/smollm3
jaxprune prune --config smollm3:3B --workdir runs/smollm3-instruct
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

MODELS = {name: f"HuggingFaceTB/SmolLM3-{name}" for name in ("3B-Base", "3B")}


def get_config(size: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(size, MODELS, default="3B-Base")
    return config
