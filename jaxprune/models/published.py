"""The sizes of published models, to plan a run without network. Their weights are read with their own config.json."""

import json
from importlib.resources import files

from jaxprune.models.model import ModelConfig, parsed

_FILE = "published.json"  # hub id → the attributes of config.json that determine sizes


def published(model: str) -> tuple[ModelConfig, str] | None:
    """The config and the stored dtype of a model of the hub; None if it is not listed.

    For models that also read images, the config of their text part.
    """
    models = json.loads(files("jaxprune.models").joinpath(_FILE).read_text(encoding="utf-8"))
    if model not in models:
        return None
    raw = models[model]
    return parsed(raw, f"{_FILE}: {model}"), raw["torch_dtype"]
