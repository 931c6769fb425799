"""A model on disk or in memory → all its weights on the devices, for generation."""

from typing import NamedTuple

import jax
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxprune.devices.sharding import mesh_of, replicated
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig
from jaxprune.models.trees import BlockParams, EmbedParams, HeadParams
from jaxprune.stats.blocks import to_device

# Parameters of the head, and the embedding table.
Head = tuple[HeadParams, Float[Array, "V D"]]


class Resident(NamedTuple):
    """A model with all parameters on every device.

    Attributes:
      config: config of the model in the dtype of its computation, see `Model.config_in`.
      mesh: the devices.
      embed: parameters of the embedding.
      head: parameters of the head, and the embedding table.
      blocks: parameters of each block.
    """

    config: ModelConfig
    mesh: Mesh
    embed: EmbedParams
    head: Head
    blocks: list[BlockParams]


def put_on_devices(model: Model, dtype: str, mesh: Mesh) -> Resident:
    """Puts all weights of a model on the devices, in `dtype`."""
    config = model.config_in(dtype)
    embed, head = (to_device(model.part(name), dtype, mesh) for name in ("embed", "head"))
    blocks = [to_device(model.block(i), dtype, mesh) for i in range(config.n_layers)]
    return Resident(config, mesh, embed, (head, embed["tokens"]), blocks)


def for_decoding(model: Resident) -> Resident:
    """The model on the devices for new tokens: all devices, or the first of several CPU devices.

    The time of a step with few rows is that of reading all weights. CPU devices share their memory, and the
    products of one device run on all cores. Nothing is copied.
    """
    first = model.mesh.devices.flat[0]
    if first.platform != "cpu" or model.mesh.size == 1:
        return model
    mesh = mesh_of([first])

    def on_first(leaf: Array) -> Array:
        data = next(s.data for s in leaf.addressable_shards if s.device == first)
        return jax.device_put(data, replicated(mesh))

    parts = jax.tree.map(on_first, (model.embed, model.head, model.blocks))
    return Resident(model.config, mesh, *parts)
