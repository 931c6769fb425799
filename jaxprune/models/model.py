"""A config → its family's modules, the shapes of their parameters, and the forward pass."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from jaxprune.base.errors import InputError, invalid_value, shown
from jaxprune.models.attention.paths import Path as AttentionPath
from jaxprune.models.attention.paths import path_for
from jaxprune.models.attributes import DEFAULTS, Attributes, read_config
from jaxprune.models.block import SITES
from jaxprune.models.config import ModelConfig
from jaxprune.models.families import FAMILIES
from jaxprune.models.family import Family
from jaxprune.models.products import cast_for_matmul
from jaxprune.models.trees import AbstractModule, BlockParams, HeadParams, Params

Builder = Callable[[ModelConfig, nnx.Rngs], nnx.Module]


class Modules(NamedTuple):
    """The three parts of a model as (graph definition, abstract parameters) pairs, without memory."""

    embed: AbstractModule
    block: AbstractModule
    head: AbstractModule


def family_of(config: ModelConfig) -> Family:
    """The family of a config."""
    return FAMILIES[config.family]


def load_config(folder: Path) -> ModelConfig:
    """Reads `config.json`; InputError names each unsupported attribute."""
    return parsed(*read_config(folder))


def parsed(raw: Mapping[str, Any], where: str) -> ModelConfig:
    """The config with the attributes of a config.json; InputError names each unsupported one.

    Args:
      where: names the file in messages.
    """
    model_type = raw["model_type"]
    if model_type not in FAMILIES:
        raise InputError(
            f"{where}: model_type {shown(model_type)} is not one of {', '.join(FAMILIES)}"
        )
    family = FAMILIES[model_type]
    attributes = Attributes(raw, where, model_type, DEFAULTS.get(model_type, {}))
    attributes.require_causal()
    config = family.parse(model_type, attributes)
    attributes.finish()
    return config


@functools.lru_cache
def modules(config: ModelConfig) -> Modules:
    """Graph definitions and abstract parameters (nested dicts of ShapeDtypeStruct) of a config's parts."""

    def abstract(build: Builder) -> AbstractModule:
        graph, state = nnx.split(nnx.eval_shape(lambda: build(config, nnx.Rngs(0))))
        return graph, nnx.to_pure_dict(state)

    family = family_of(config)
    return Modules(abstract(family.embed), abstract(family.block), abstract(family.head))


def kernel_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """(in, out) of each prunable kernel of a block, by path."""
    flat = flatten_dict(modules(config).block[1], sep="/")
    return {path: flat[path].shape for path in family_of(config).sites}


def site_widths(config: ModelConfig) -> dict[str, int]:
    """Number of features of each site, in the order of the data flow."""
    reads = family_of(config).sites
    widths = {reads[path]: shape[0] for path, shape in kernel_shapes(config).items()}
    return {site: widths[site] for site in SITES}


def attention_path(config: ModelConfig, dtype: str, platform: str) -> AttentionPath:
    """The path of attention for rows of one sequence each, as in pruning.

    Args:
      dtype: dtype of the products.
      platform: the result of `platform`.
    """
    block = nnx.merge(*modules(config).block)  # of shapes, without memory
    return path_for(platform, dtype, config.head_dim, block.attention.scoring)


def layer_kind(config: ModelConfig, layer: int) -> Int[np.ndarray, ""] | None:
    """The index of a layer's kind in `config.kinds`, int32; None if the config has one kind."""
    if len(config.kinds) == 1:
        return None
    return np.asarray(config.pattern[layer % len(config.pattern)], np.int32)


def layer_kinds(config: ModelConfig) -> Int[Array, " L"] | None:
    """`layer_kind` of all layers."""
    kinds = [layer_kind(config, layer) for layer in range(config.n_layers)]
    return None if len(config.kinds) == 1 else jnp.asarray(kinds)


def head_inputs(
    config: ModelConfig, params: HeadParams, states: Float[Array, "*rows D"], dtype: DTypeLike
) -> Float[Array, "*rows D"]:
    """Normed outputs of the last block, as inputs of the head's products in `dtype`; reads no kernel."""
    graph, _ = modules(dataclasses.replace(config, tied_head=True)).head
    h = nnx.merge(graph, params).norm(states)
    return cast_for_matmul(h, dtype, config.rounded_inputs)


def forward(
    config: ModelConfig,
    params: Params,
    tokens: Int[Array | np.ndarray, "B T"],
    valid: Bool[Array | np.ndarray, "B T"] | None = None,
) -> Float[Array, "B T V"]:
    """A model's logits at every position.

    Pure and differentiable; `jax.jit(jaxprune.forward, static_argnums=0)` compiles it. It stores
    [B, T, V], so it is for training, small batches and tests; scoring and pruning never store that array.

    Args:
      config: the config of the model, `Model.config`.
      params: {"embed", "blocks" [L, …], "head"} of JAX or numpy, such as `Model.params`; products are in
        their dtype.
      tokens: [B, T] token ids of any integer type.
      valid: [B, T], True or 1 at real tokens; by default all are real. Pads may be on either side, positions count real
        tokens only, and logits of pads are undefined.

    Returns:
      [B, T, V] float32. The logits at t predict the token at t + 1.

    Raises:
      InputError: tokens are not a matrix of integers or are beyond the vocabulary (not checked inside jit), rows are
        longer than the model's number of positions, or `valid` has another shape.

    Examples:
      >>> import jax, jaxprune as jp, numpy as np
      >>> model = jp.load("nano/bloom")
      >>> tokens = np.array([[11, 12, 13, 14]])
      >>> logits = jp.forward(model.config, model.params, tokens)
      >>> logits.shape == (1, 4, model.config.vocab_size)
      True
      >>> compiled = jax.jit(jp.forward, static_argnums=0)
      >>> compiled(model.config, model.params, tokens).dtype
      dtype('float32')
    """
    _check_tokens(config, tokens)
    params = jax.tree.map(jnp.asarray, params)
    config = config.with_scale(params["embed"]["tokens"].dtype)
    order, tokens = None, jnp.asarray(tokens)
    if valid is not None:  # left-justify, so that the causal mask alone hides pads from real tokens
        if np.shape(valid) != tokens.shape:
            raise invalid_value(
                "valid", f"shape {np.shape(valid)}", f"{tokens.shape}, that of tokens"
            )
        order = jnp.argsort(~jnp.asarray(valid, bool), axis=1, stable=True)
        tokens = jnp.take_along_axis(tokens, order, axis=1)
    parts = modules(config)
    x = nnx.merge(parts.embed[0], params["embed"])(tokens)

    def body(x: Array, layer: tuple[BlockParams, Array | None]) -> tuple[Array, None]:
        block_params, kind = layer
        return nnx.merge(parts.block[0], block_params)(x, kind), None

    x, _ = jax.lax.scan(body, x, (params["blocks"], layer_kinds(config)))
    out = nnx.merge(parts.head[0], params["head"])(x, params["embed"]["tokens"])
    if order is not None:
        out = jnp.take_along_axis(out, jnp.argsort(order, axis=1)[..., None], axis=1)
    return out


def _check_tokens(config: ModelConfig, tokens: Array | np.ndarray) -> None:
    """Rejects tokens that a gather would clip or wrap."""
    allowed = "integers [B, T]"
    if not hasattr(tokens, "dtype") or tokens.dtype.kind not in "iu" or tokens.ndim != 2:
        raise invalid_value("tokens", tokens, allowed)
    if config.max_positions is not None and tokens.shape[1] > config.max_positions:
        raise InputError(
            f"tokens: rows of {tokens.shape[1]}; expected {config.max_positions}, the model's positions"
        )
    if isinstance(tokens, jax.core.Tracer) or not tokens.size:
        return
    for token in (int(tokens.min()), int(tokens.max())):
        if not 0 <= token < config.vocab_size:
            raise InputError(
                f"tokens: got {token}; expected 0 to {config.vocab_size - 1}, the model's vocabulary"
            )
