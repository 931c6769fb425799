"""Any model of a supported family, by hub id or folder; `--help` lists the fields.

jaxprune prune --config base:HuggingFaceTB/SmolLM2-135M --workdir runs/smollm2 \
    --config.calibration.data=flores

Cost: add --plan. Gemma 3 270M with 100 samples of 280 tokens takes 30 seconds on two cores (docs/performance.md).
Expect: at 30% compare before you use it; at 50% perplexity doubles or triples (docs/study.md).
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config


def get_config(model: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = model
    return config
