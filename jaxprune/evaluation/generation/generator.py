"""Prompts → generated tokens, with a cache of keys and values: the likeliest ones, or drawn from the probabilities.

One block is compiled, for a micro-batch of prompts and for one token, and called layer by layer on the weights in
place: in a loop over stacked layers inside one program, XLA on CPUs copies every kernel at every step.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float32, Int

from jaxprune.base.errors import InputError
from jaxprune.base.progress import tqdm_bar
from jaxprune.data.batches import check_tokens
from jaxprune.devices import hosts
from jaxprune.devices.sharding import by_rows, given_mesh
from jaxprune.evaluation.generation.programs import drawn, likeliest
from jaxprune.evaluation.generation.prompt_batch import PromptBatch, prefill_shared, rounded
from jaxprune.evaluation.generation.resident import Resident, for_decoding, put_on_devices
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig

# Sequences generated at once, over all devices.
BATCH = 64


class Generator:
    """A model for generation, with all its weights on the devices.

    Args:
      model: a model, on disk or in memory.
      dtype: "float32" or "bfloat16", of the weights, keys and values on the devices.
      mesh: devices; all by default. Prompts are spread over them.
      progress: whether to show a bar that counts prompts.

    Several processes share the batches, and all receive all sequences.
    """

    def __init__(
        self,
        model: Model,
        *,
        dtype: str = "float32",
        mesh: Mesh | None = None,
        progress: bool = True,
    ) -> None:
        self.model = model
        self._model = put_on_devices(model, dtype, given_mesh(mesh))
        self._steps = for_decoding(self._model)
        self.progress = progress

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        stop: Collection[int] = (),
        batch: int = BATCH,
        name: str = "generate",
        seed: int | None = None,
    ) -> list[list[int]]:
        """The likeliest tokens after each prompt, or tokens drawn by a seed, without the final one of `stop`.

        The common prefix of all prompts of a call is computed once.

        Args:
          prompts: token ids, at least one each.
          max_new_tokens: limit on the length of a sequence.
          stop: token ids that end a sequence.
          batch: sequences generated at once.
          name: shown on the progress bar and in messages.
          seed: draws tokens from the model's probabilities, by this seed and the number of the prompt; None: the
            likeliest.

        Raises:
          InputError: an id outside the vocabulary, more tokens than the model has positions, or logits that are not
            finite.
        """
        config = self._model.config
        _check_prompts(config, prompts, max_new_tokens)
        if not prompts:
            return []
        prompts = [[int(token) for token in prompt] for prompt in prompts]
        stops = np.zeros(config.vocab_size, bool)
        stops[list(stop)] = True
        limit = rounded(max(map(len, prompts))) + max_new_tokens
        shared = prefill_shared(self._steps, prompts, limit)
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        parts = np.array_split(order, -(-len(order) // batch))
        shares = hosts.shares(np.array([len(p) for p in parts]))
        share = [parts[i] for i in shares[jax.process_index()]]
        sequences: dict[int, list[int]] = {}
        local = [int(i) for members in share for i in members]
        with tqdm_bar(len(local), self.progress, desc=name, unit="prompt") as prompts_bar:
            for members in share:
                own = [prompts[i] for i in members]
                prompt_batch = PromptBatch(
                    self._model, self._steps, own, shared, max_new_tokens, limit
                )
                points = None if seed is None else _points(seed, members, max_new_tokens)
                for i, sequence in _sequences(
                    self._steps, prompt_batch, stops, max_new_tokens, name, points
                ):
                    sequences[int(members[i])] = sequence
                    prompts_bar.update()
        for gathered in hosts.gather_json([(i, sequences[i]) for i in local]):
            sequences |= dict(gathered)
        return [sequences[i] for i in range(len(prompts))]


def _points(
    seed: int, prompts: Int[np.ndarray, " prompts"], tokens: int
) -> Float32[np.ndarray, "prompts T"]:
    """Uniform numbers in [0, 1), for each prompt its own, however prompts are divided into batches."""
    generators = (np.random.default_rng((seed, prompt)) for prompt in prompts)
    return np.stack([generator.random(tokens, np.float32) for generator in generators])


def _sequences(
    model: Resident,
    prompt_batch: PromptBatch,
    stops: Bool[np.ndarray, " V"],
    new_tokens: int,
    name: str,
    points: Float32[np.ndarray, "prompts T"] | None,
) -> Iterator[tuple[int, list[int]]]:
    """(prompt, sequence) of each row when it is finished.

    Args:
      stops: True at tokens that end a sequence.
      points: of the cumulated probabilities, from which tokens are drawn; None: the likeliest tokens.
    """
    is_open = prompt_batch.prompts >= 0
    sequences: list[list[int]] = [[] for _ in is_open]
    for step in itertools.count():
        following, finite = _following(model, prompt_batch, points, step)
        if (lost := is_open & ~np.asarray(finite)[:, 0]).any():
            first = prompt_batch.prompts[lost].min()
            raise InputError(
                f"{name}: after prompt {first} the logits are NaN or infinite, from overflow in the model"
            )
        tokens, was_open = np.asarray(following)[:, 0], is_open
        is_open = was_open & ~stops[tokens]
        for row in np.flatnonzero(is_open).tolist():
            sequences[row].append(int(tokens[row]))
            is_open[row] = len(sequences[row]) < new_tokens
        for row in np.flatnonzero(was_open & ~is_open).tolist():
            yield int(prompt_batch.prompts[row]), sequences[row]
        if not is_open.any():
            return
        kept, following = prompt_batch.drop_finished(is_open, following)
        is_open, sequences = is_open[kept], [sequences[row] for row in kept.tolist()]
        prompt_batch.advance(following)


def _following(
    model: Resident,
    prompt_batch: PromptBatch,
    points: Float32[np.ndarray, "prompts T"] | None,
    step: int,
) -> tuple[Int[Array, "B 1"], Bool[Array, "B 1"]]:
    """The next token of each row, and whether its logits are finite."""
    x, (config, mesh) = prompt_batch.x, model[:2]
    if points is None:
        return likeliest(x, head=model.head, config=config, mesh=mesh)
    uniform = jax.device_put(points[prompt_batch.prompts, step], by_rows(mesh))
    return drawn(x, uniform, head=model.head, config=config, mesh=mesh)


def _check_prompts(config: ModelConfig, prompts: Sequence[Sequence[int]], new: int) -> None:
    positions = config.max_positions
    for i, prompt in enumerate(prompts):
        check_tokens(f"prompt {i}", prompt, config.vocab_size)
        if positions is not None and len(prompt) + new > positions:
            raise InputError(
                f"prompt {i} has {len(prompt)} tokens and max_new_tokens is {new}; expected "
                f"{positions} together, the model's positions"
            )
