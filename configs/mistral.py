"""Mistral 7B and models of its shape, pruned with translation demonstrations.

python scripts/prune.py --config configs/mistral.py --workdir runs/mistral
python scripts/prune.py --config configs/mistral.py:Nemo-2407 --workdir runs/nemo
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
