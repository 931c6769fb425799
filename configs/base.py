"""Any model of a supported family, by hub id or folder; `--help` lists the fields.

jaxprune prune --config base:HuggingFaceTB/SmolLM2-135M --workdir runs/smollm2 \
    --config.calibration.data=flores
"""

from ml_collections import ConfigDict

from jaxprune.config import base_config


def get_config(model: str | None = None) -> ConfigDict:
    config = base_config()
    config.model = model
    return config
