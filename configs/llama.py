"""Llama and models of its architecture, pruned with translation demonstrations.

jaxprune prune --config llama --workdir runs/llama
jaxprune prune --config llama:3.1-8B --workdir runs/llama-3.1-8B

Cost on two cores, predicted (--plan; 160 GFLOP/s): 3.2-1B 3.3 GB of memory, 21 minutes and 2.7 GB on disk; 3.1-8B 9.9
GB, 2.5 hours and 18 GB.
Expect: not measured on these models; evaluate the dense and the pruned one (docs/evaluation.md).
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config, pick

MODELS = {
    "3.2-1B": "meta-llama/Llama-3.2-1B",
    "3.2-3B": "meta-llama/Llama-3.2-3B",
    "3.1-8B": "meta-llama/Llama-3.1-8B",
    "2-7b": "meta-llama/Llama-2-7b-hf",
    "smollm2-135m": "HuggingFaceTB/SmolLM2-135M-Instruct",
}


def get_config(size: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = pick(size, MODELS, default="3.2-1B")
    return config
