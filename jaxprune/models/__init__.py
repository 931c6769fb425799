"""config.json and parameters → a model's embedding, blocks of four sites, and head, as Flax NNX modules."""

from jaxprune.models.model import load_config as load_config
