"""A batch of prompts → their keys and values, and the states before their next tokens.

Rows are left-justified and sorted by length. A device passes one micro-batch at a time through each block, at the
length of its longest row. Finished rows are dropped when they are half of the rows.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from jaxprune.devices.sharding import by_rows, compiled_by_rows, replicated
from jaxprune.evaluation.generation.programs import decode_step, prefill, write_token
from jaxprune.evaluation.generation.resident import Resident
from jaxprune.evaluation.scoring.forest import common_prefix
from jaxprune.models.attention.decoding import KeyValues, Stretches
from jaxprune.models.model import layer_kind
from jaxprune.models.positions import Positions
from jaxprune.stats.walk import embed_tokens

# Lengths are rounded up to a multiple of at least this, as each length is compiled.
MULTIPLE = 16
# Tokens of a micro-batch.
MICRO_BATCH_TOKENS = 1024
# Fewer rows are not faster, except for a single one: a step reads all weights.
LEAST_ROWS = 8
# A prefix of all prompts is computed once if it has this many tokens or more.
LEAST_SHARED = 16


class SharedPrefix(NamedTuple):
    """The prefix of all prompts.

    Attributes:
      tokens: number of tokens.
      layers: keys and values of each block, [devices, K, P, H] with P ≥ tokens.
    """

    tokens: int
    layers: list[KeyValues]


def rounded(length: int) -> int:
    """The static length for a number of tokens: one of at most 8 between two powers of two."""
    multiple = max(MULTIPLE, 1 << max(length.bit_length() - 4, 0))
    return -(-length // multiple) * multiple


@functools.partial(compiled_by_rows, static_argnames=("width",))
def _joined(*micro_batches: KeyValues, width: int) -> KeyValues:
    """Micro-batches [b, K, T, H] → rows [B, K, width, H], on each device."""

    def pad(array: Array) -> Array:
        return jnp.pad(array, ((0, 0), (0, 0), (0, width - array.shape[2]), (0, 0)))

    def join(*arrays: Array) -> Array:
        return jnp.concatenate([pad(array) for array in arrays])

    return jax.tree.map(join, *micro_batches)


@compiled_by_rows
def _last(places: Int[Array, " B"], *states: Array) -> Float[Array, "B 1 D"]:
    """The state at one position of every row, from micro-batches [b, T, D]."""
    cuts = np.cumsum([len(x) for x in states])[:-1]
    return jnp.concatenate(
        [
            jnp.take_along_axis(x, index[:, None, None], axis=1)
            for x, index in zip(states, jnp.split(places, cuts), strict=True)
        ]
    )


@compiled_by_rows
def _take_rows(rows: Int[Array, " b"], arrays: Any) -> Any:
    """Rows of all arrays; `rows` are indices on each device."""
    return jax.tree.map(lambda array: array[rows], arrays)


def _zeros(shape: tuple[int, ...], dtype: jnp.dtype, mesh: Mesh) -> KeyValues:
    return KeyValues(*(jnp.zeros(shape, dtype, device=by_rows(mesh)) for _ in range(2)))


def _scalar(value: int, mesh: Mesh) -> Int[Array, ""]:
    return jax.device_put(np.int32(value), replicated(mesh))


def _on_all(shared: KeyValues, mesh: Mesh) -> KeyValues:
    """The same keys and values on every device of a mesh."""
    if len(shared.keys) == mesh.size:
        return shared
    return jax.device_put(
        jax.tree.map(lambda y: jnp.tile(y, (mesh.size, 1, 1, 1)), shared), by_rows(mesh)
    )


def prefill_shared(model: Resident, prompts: Sequence[Sequence[int]], limit: int) -> SharedPrefix:
    """Computes the common prefix of all prompts if it is long; at least one token of each prompt is left over."""
    first, last = min(map(list, prompts)), max(map(list, prompts))
    common = common_prefix(first, last) if len(prompts) > 1 else 0
    count = min(common, min(map(len, prompts)) - 1)
    config, mesh = model.config, model.mesh
    dtype = model.blocks[0]["mlp"]["out"]["kernel"].dtype
    empty = _zeros((mesh.size, config.n_kv_heads, 0, config.head_dim), dtype, mesh)
    nothing = SharedPrefix(0, [empty] * config.n_layers)
    if count < LEAST_SHARED:
        return nothing
    tokens = np.zeros((mesh.size, rounded(count)), np.int32)
    tokens[:, :count] = prompts[0][:count]
    passed = _through_blocks(model, [tokens], nothing, limit)
    return SharedPrefix(count, [key_values for _, [key_values] in passed])


def _through_blocks(
    model: Resident, micro_batches: Sequence[np.ndarray], shared: SharedPrefix, limit: int
) -> Iterator[tuple[list[Array], list[KeyValues]]]:
    """The states after each block, and its keys and values, for all micro-batches of tokens after `shared`."""
    config, mesh = model.config, model.mesh
    count = _scalar(shared.tokens, mesh)
    states = [
        _embedded(model, tokens, shared.tokens + np.arange(tokens.shape[1]), limit)
        for tokens in micro_batches
    ]
    for layer, block in enumerate(model.blocks):
        before = _on_all(shared.layers[layer], mesh)
        kind = layer_kind(config, layer)
        outputs = [
            prefill(
                x, before, params=block, kind=kind, count=count,
                config=config, mesh=mesh, limit=limit,
            )
            for x in states
        ]  # fmt: skip
        states = [x for x, _ in outputs]
        yield states, [key_values for _, key_values in outputs]


class PromptBatch:
    """Prompts on the devices, and their generated keys and values.

    Args:
      model: the model on the devices for the prompts.
      steps: the model on the devices for new tokens.
      prompts: token ids, sorted by length.
      shared: the common prefix.
      new_tokens: limit on the generated tokens of a prompt.
      limit: upper bound of all positions, exclusive.

    Attributes:
      prompts: [B] the prompt of each row, -1 for a row that pads the batch.
      x: [B, 1, D] output of the last block, for the next tokens.
    """

    def __init__(
        self,
        model: Resident,
        steps: Resident,
        prompts: Sequence[Sequence[int]],
        shared: SharedPrefix,
        new_tokens: int,
        limit: int,
    ) -> None:
        self._steps, self._shared, self._limit = steps, shared, limit
        self._share = by_rows(steps.mesh)
        self._count = _scalar(shared.tokens, steps.mesh)
        self._slot = 0
        suffixes = [prompt[shared.tokens :] for prompt in prompts]
        self.prompts, micro_batches = _deal(suffixes, model.mesh.size)
        lengths = np.array([len(suffixes[i]) if i >= 0 else 1 for i in self.prompts], np.int32)
        self._lengths = lengths + np.int32(shared.tokens)
        self._on_devices = jax.device_put(self._lengths, self._share)
        self.x = self._prefill(model, micro_batches, lengths - 1)
        config, dtype = model.config, self._prompt[0].keys.dtype
        shape = (len(self.prompts), 1, config.n_kv_heads, new_tokens, config.head_dim)
        self._generated = [_zeros(shape, dtype, steps.mesh) for _ in steps.blocks]

    def _prefill(
        self, model: Resident, micro_batches: Sequence[np.ndarray], places: np.ndarray
    ) -> Float[Array, "B 1 D"]:
        """Passes the prompts through all blocks, and stores their keys and values."""
        mesh, width = model.mesh, max(tokens.shape[1] for tokens in micro_batches)
        self._prompt: list[KeyValues] = []
        for outputs, key_values in _through_blocks(model, micro_batches, self._shared, self._limit):
            states = outputs
            joined = _joined(*key_values, width=width, mesh=mesh)
            self._prompt.append(jax.device_put(joined, self._share))
        last = _last(jax.device_put(places, by_rows(mesh)), *states, mesh=mesh)
        return jax.device_put(last, self._share)

    def advance(self, following: Int[Array, "B 1"]) -> None:
        """Passes the next tokens through all blocks."""
        model, mesh, limit = self._steps, self._steps.mesh, self._limit
        slot = _scalar(self._slot, mesh)
        x = _embedded(model, following, self._lengths[:, None] + self._slot, limit)
        for layer, block in enumerate(model.blocks):
            generated = self._generated[layer]
            stretches = Stretches(self._shared.layers[layer], self._prompt[layer], generated)
            x, new = decode_step(
                x, self._on_devices, stretches, params=block, kind=layer_kind(model.config, layer),
                count=self._count, slot=slot, config=model.config, mesh=mesh, limit=limit,
            )  # fmt: skip
            self._generated[layer] = write_token(generated, new, slot=slot, mesh=mesh)
        self.x = x
        self._slot += 1

    def drop_finished(
        self, is_open: Bool[np.ndarray, " B"], following: Int[Array, "B 1"]
    ) -> tuple[Int[np.ndarray, " b"], Int[Array, "b 1"]]:
        """Drops finished rows, if at most half of the rows are left on every device.

        Returns:
          The rows that are left, and their next tokens.
        """
        devices = self._steps.mesh.size
        by_device = is_open.reshape(devices, -1)
        count = _reduced_rows(by_device.shape[1], by_device.sum(axis=1).max())
        if count == by_device.shape[1]:
            return np.arange(len(is_open)), following
        kept = np.argsort(~by_device, axis=1, kind="stable")[:, :count].astype(np.int32)
        rows = (kept + np.arange(devices)[:, None] * by_device.shape[1]).ravel()
        index = jax.device_put(kept.ravel(), self._share)
        take = functools.partial(_take_rows, index, mesh=self._steps.mesh)
        self.prompts = np.where(is_open, self.prompts, -1)[rows]
        self._lengths = self._lengths[rows]
        self._on_devices, following = take((self._on_devices, following))
        for layers in (self._prompt, self._generated):
            for layer, arrays in enumerate(layers):
                layers[layer] = take(arrays)
        return rows, following


def _deal(
    suffixes: Sequence[Sequence[int]], devices: int
) -> tuple[Int[np.ndarray, " B"], list[Int[np.ndarray, "b T"]]]:
    """The prompt of each row, device by device, and the tokens of each micro-batch.

    5 prompts, 2 devices, micro-batches of 2     device 0: 0 1 4 -     device 1: 2 3 - -
    """
    rows = _rounded_rows(-(-len(suffixes) // devices))
    width = rounded(max(map(len, suffixes)))
    size = 1
    while rows % (2 * size) == 0 and 2 * size * width <= MICRO_BATCH_TOKENS:
        size *= 2
    prompt_of_row = np.full(devices * rows, -1)
    prompt_of_row[: len(suffixes)] = np.arange(len(suffixes))
    order = prompt_of_row.reshape(-1, devices, size).transpose(1, 0, 2).reshape(devices, rows)
    micro_batches = []
    for start in range(0, rows, size):
        members = order[:, start : start + size].ravel()
        micro_batch = [suffixes[i] if i >= 0 else () for i in members]
        tokens = np.zeros((len(micro_batch), rounded(max(1, *map(len, micro_batch)))), np.int32)
        for row, suffix in zip(tokens, micro_batch, strict=True):
            row[: len(suffix)] = suffix
        micro_batches.append(tokens)
    return order.ravel(), micro_batches


def _embedded(
    model: Resident, tokens: Int[Array | np.ndarray, "B T"], places: np.ndarray, limit: int
) -> Float[Array, "B T D"]:
    """The input of the first block, for tokens at `places` (broadcast, below `limit`)."""
    index = np.broadcast_to(places, tokens.shape).astype(np.int32)
    positions = Positions(index, limit)
    return embed_tokens(tokens, positions, params=model.embed, config=model.config, mesh=model.mesh)


def _rounded_rows(rows: int) -> int:
    """`rows` rounded up to a power of two or a multiple of LEAST_ROWS, so that few shapes are compiled."""
    if rows > LEAST_ROWS:
        return -(-rows // LEAST_ROWS) * LEAST_ROWS
    return 1 << (rows - 1).bit_length()


def _reduced_rows(rows: int, needed: int) -> int:
    """The new number of rows of a device: one, or `rows` halved while LEAST_ROWS and all `needed` rows remain."""
    while rows % 2 == 0 and rows // 2 >= max(LEAST_ROWS, needed):
        rows //= 2
    return 1 if needed == 1 else rows
