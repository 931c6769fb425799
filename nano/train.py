"""Trains a nano model: the package's own models, optax, a few minutes on two cores."""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Int
from optax.contrib import MuonDimensionNumbers, muon
from safetensors.numpy import save_file
from transformers import PreTrainedTokenizerBase

from jaxprune.base.errors import InputError
from jaxprune.hf.weights import to_stored
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import family_of, forward
from jaxprune.models.trees import Params
from nano import corpus, packing, to_hf, vocabulary

ARCHITECTURES = ("xglm", "bloom", "gpt2")
D_MODEL, LAYERS, HEADS, D_FF = 128, 4, 4, 512
POSITIONS = vocabulary.LONGEST  # training reaches `Recipe.length` only


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a nano model is trained."""

    steps: int = 2400
    rows: int = 10  # a step
    length: int = 192  # tokens a row: four demonstrations and a query
    peak: float = 3e-3  # learning rate, after `warmup` steps; then linearly to 0
    warmup: int = 100
    weight_decay: float = 0.01
    seed: int = 0


def nano_config(architecture: str, vocab_size: int) -> ModelConfig:
    """The config of a nano model; InputError for an architecture that nano does not have."""
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"architecture: got {architecture!r}, allowed are {', '.join(ARCHITECTURES)}"
        )
    xglm = architecture == "xglm"
    return ModelConfig(
        family=architecture,
        vocab_size=vocab_size,
        d_model=D_MODEL,
        n_layers=LAYERS,
        n_heads=HEADS,
        n_kv_heads=HEADS,
        head_dim=D_MODEL // HEADS,
        d_ff=D_FF,
        activation="gelu" if xglm else "gelu_new",
        norm_eps=1e-5,
        tied_head=True,
        max_positions=None if architecture == "bloom" else POSITIONS,
        embed_scale=D_MODEL**0.5 if xglm else 1.0,
        position_zero_row=vocabulary.SPECIAL["xglm"].index("<pad>") if xglm else None,
        attention_scale=(D_MODEL // HEADS) ** -0.5,
    )


def optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """Muon on the kernels of the blocks, AdamW on embeddings, norms and biases, one schedule."""
    rate = optax.join_schedules(
        [
            optax.linear_schedule(0.0, recipe.peak, recipe.warmup),
            optax.linear_schedule(recipe.peak, 0.0, max(recipe.steps - recipe.warmup, 1)),
        ],
        [recipe.warmup],
    )
    return muon(
        rate,
        weight_decay=recipe.weight_decay,
        adam_b2=0.98,
        muon_weight_dimension_numbers=kernels,
        consistent_rms=0.2,  # the size of an AdamW update, so that both share the rate
    )


def kernels(params: Any) -> Any:
    """Which parameters Muon takes; None: left to AdamW.

    Kernels are [L, in, out], and each layer's is orthogonalised by itself.
    """

    def dimensions(path: tuple[Any, ...], leaf: Any) -> MuonDimensionNumbers | None:
        return MuonDimensionNumbers(1, 2) if path[-1].key == "kernel" and leaf.ndim == 3 else None

    return jax.tree_util.tree_map_with_path(dimensions, params)


def loss(
    params: Any,
    config: ModelConfig,
    tokens: Int[Array, "B T"],
    weights: Float[Array, "B T"],
) -> Float[Array, ""]:
    """Mean cross-entropy, weighted by target; the first token of a row is no target."""
    logits = forward(config, params, tokens[:, :-1])
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:])
    return jnp.sum(entropy * weights[:, 1:]) / jnp.sum(weights[:, 1:])


@functools.cache
def train_step(config: ModelConfig, recipe: Recipe) -> Callable[..., Any]:
    """A compiled step (params, state, tokens, weights) → (params, state, mean loss).

    On one device: split over one CPU device per core, XLA's all-reduce between them ran into its
    timeout on a busy machine and ended the process.
    """
    update = optimizer(recipe).update

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Any, state: Any, tokens: Array, weights: Array) -> tuple[Any, Any, Array]:
        mean, grads = jax.value_and_grad(loss)(params, config, tokens, weights)
        updates, state = update(grads, state, params)
        return optax.apply_updates(params, updates), state, mean

    return step


def batches(
    tokenizer: PreTrainedTokenizerBase, recipe: Recipe
) -> Iterator[tuple[Int[np.ndarray, "B T"], Float[np.ndarray, "B T"]]]:
    """Token rows and target weights of every step; a row has one token more than the model reads."""
    packed = packing.rows(corpus.documents(recipe.seed), tokenizer, recipe.length + 1)
    for _ in range(recipe.steps):
        tokens, weights = zip(*islice(packed, recipe.rows), strict=True)
        yield np.stack(tokens), np.stack(weights)


def init(config: ModelConfig, seed: int) -> Params:
    """Random float32 parameters; blocks are stacked [L, …]."""
    family = family_of(config)

    def parameters(build: Callable[..., Any], key: Array) -> Params:
        return nnx.to_pure_dict(nnx.state(build(config, nnx.Rngs(params=key))))

    embed, head, *blocks = jax.random.split(jax.random.key(seed), config.n_layers + 2)
    stacked = [parameters(family.block, key) for key in blocks]
    return {
        "embed": parameters(family.embed, embed),
        "blocks": jax.tree.map(lambda *leaves: jnp.stack(leaves), *stacked),
        "head": parameters(family.head, head),
    }


def train(
    architecture: str,
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerBase,
    log: Callable[[str], None] = print,
    every: int = 100,
) -> tuple[ModelConfig, Any]:
    """Trains from nothing; `log` gets a line every so many steps.

    The same bits for the same recipe on the same kind of device.
    """
    config = nano_config(architecture, len(tokenizer))
    params = init(config, recipe.seed)
    state = optimizer(recipe).init(params)
    step = train_step(config, recipe)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    log(f"{architecture}: {count:,} parameters, {len(tokenizer)} pieces")
    log(str(recipe))
    losses, start = [], time.perf_counter()
    for done, batch in enumerate(batches(tokenizer, recipe), start=1):
        params, state, mean = step(params, state, *batch)
        losses.append(mean)
        if done % every == 0 or done == recipe.steps:
            recent = float(np.mean(jax.device_get(losses)))
            spent = time.perf_counter() - start
            left = spent / done * (recipe.steps - done)
            log(f"step {done}/{recipe.steps}  loss {recent:.4f}  {spent:.0f} s, {left:.0f} s left")
            losses = []
    return config, params


def save(
    config: ModelConfig, params: Any, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    """Writes a Hugging Face folder: config.json, model.safetensors (float32) and the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")
    }
    attributes = to_hf.attributes(config) | ids | {"dtype": "float32"}
    text = json.dumps(attributes, indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    tensors = to_stored(config, params["embed"], "embed") | to_stored(
        config, params["head"], "head"
    )
    for layer in range(config.n_layers):
        block = jax.tree.map(lambda leaf: leaf[layer], params["blocks"])  # noqa: B023
        tensors |= to_stored(config, block, "blocks", layer)
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    save_file(contiguous, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
