"""The fields that name a model."""

from collections.abc import Mapping

from jaxprune.schema import Field, text

FIELDS: Mapping[str, Field] = {
    "model": text(
        None, "a hub id or a local Hugging Face folder", "the model to prune or evaluate"
    ),
    "revision": text(
        None, "a branch, tag or commit of the hub id", "branch, tag or commit", optional=True
    ),
}
