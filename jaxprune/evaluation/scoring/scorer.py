"""Token sequences → log-probabilities of their tokens, by the same pass over blocks as pruning.

Rows contain trees of tokens (`forest.py`), so shared prefixes are computed once. After the blocks, the vocabulary is
processed in slices (`vocabulary.py`). Blocks and slices stay on the devices if they fit; otherwise they are read for
each pass, so models of any size can be scored (`parts.py`).
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Bool, Float

from jaxprune.base.errors import InputError
from jaxprune.base.progress import progress_bar
from jaxprune.data.batches import check_tokens
from jaxprune.devices import hosts
from jaxprune.devices.sharding import given_mesh
from jaxprune.evaluation.scoring.forest import Forest, pack_forests
from jaxprune.evaluation.scoring.parts import Parts
from jaxprune.evaluation.scoring.vocabulary import finish, predictions, run_slice, start_softmax
from jaxprune.hf.model import Model
from jaxprune.models.model import layer_kind
from jaxprune.models.positions import Tree
from jaxprune.stats.blocks import to_device
from jaxprune.stats.micro_batches import Context, MicroBatches
from jaxprune.stats.walk import WHOLE_BLOCK, embed, run_segment

# Tokens that a device processes at a time, enough for efficient products.
CPU_TOKENS, ACCELERATOR_TOKENS = 1024, 8192
# Size of the hidden states of one pass, which reads weights and embeddings once for all its rows.
PASS_BYTES = 1 << 30


class TokenScores(NamedTuple):
    """The log-probabilities of the scored tokens of a sequence.

    Attributes:
      log_probabilities: [n] float32, natural logarithms.
      is_argmax: [n] bool, whether the token is the likeliest; of equal ones the lowest id is.
    """

    log_probabilities: Float[np.ndarray, " n"]
    is_argmax: Bool[np.ndarray, " n"]


class Scorer:
    """Scores sequences by a model.

    Each of several processes scores its share of the rows, and all get all scores.

    Args:
      model: a model, on disk or in memory.
      dtype: "float32" or "bfloat16", of the weights on the devices.
      mesh: devices over which rows are distributed; all by default.
      resident: whether the weights stay on the devices; by default if they fit.
      progress: show a bar with tokens per second and remaining time.
    """

    def __init__(
        self,
        model: Model,
        *,
        dtype: str = "float32",
        mesh: Mesh | None = None,
        resident: bool | None = None,
        progress: bool = True,
    ) -> None:
        self.model = model
        self.dtype = dtype
        self._config = model.config_in(dtype)
        self.mesh = given_mesh(mesh)
        self.progress = progress
        self._parts = Parts(model, dtype, self.mesh, resident)
        on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        self._tokens = CPU_TOKENS if on_cpu else ACCELERATOR_TOKENS

    def __call__(
        self,
        sequences: Sequence[Sequence[int]],
        starts: Sequence[int] | None = None,
        name: str = "score",
    ) -> list[TokenScores]:
        """Scores the tokens `starts[i]:` of each sequence, by default all but the first, which has no prediction.

        Shared prefixes are computed once per call, so pass all sequences in one call.

        Args:
          sequences: token ids, at least one each.
          starts: first scored token of each sequence, at least 1.
          name: name on the progress bar.

        Raises:
          InputError: an id beyond the vocabulary, or more tokens than the model's positions plus one (the last token is
            only predicted).
        """
        starts = [1] * len(sequences) if starts is None else starts
        check_sequences(self.model, sequences)
        results: list[Any] = [None] * len(sequences)
        by_process = self._passes_by_process(pack_forests(sequences, starts))
        passes = by_process[jax.process_index()]
        tokens = sum(len(forest.tokens) * forest.seen for forest in passes)
        steps = len(passes) * len(self._parts)  # blocks and slices of the vocabulary
        with progress_bar(name, steps, tokens, self.progress, unit="steps") as bar:
            for forest in passes:
                micro_batches = self.embed(forest)
                self.run_blocks(micro_batches, range(self._config.n_layers), bar.update)
                scores = self.score_tokens(micro_batches, forest, bar.update)
                for s, start, row, path in forest.leaves:
                    results[s] = TokenScores(*(array[row, path[start:]] for array in scores))
        for _ in range(max(map(len, by_process)) - len(passes)):
            self._parts.read_along()
        if len(by_process) > 1:
            own = [(s, *map(np.ndarray.tolist, r)) for s, r in enumerate(results) if r]
            for s, scores, best in itertools.chain(*hosts.gather_json(own)):
                results[s] = TokenScores(np.array(scores, np.float32), np.array(best, bool))
        return results

    def _passes_by_process(self, forests: Iterator[Forest]) -> list[list[Forest]]:
        """The rows that each process scores."""
        by_process: list[list[Forest]] = [[] for _ in range(jax.process_count())]
        for forest in forests:
            shares = hosts.shares(np.ones(len(forest.tokens)))
            for passes, rows in zip(by_process, shares, strict=True):
                passes.extend(self.passes(forest.cut(rows.start, rows.stop)))
        return by_process

    def passes(self, forest: Forest) -> Iterator[Forest]:
        """The rows of a forest in the fewest passes that `PASS_BYTES` allows."""
        rows = self._rows(forest) * self.mesh.size
        room = PASS_BYTES // (4 * forest.seen * self.model.config.d_model)
        step = max(rows, room // rows * rows)
        for start in range(0, len(forest.tokens), step):
            yield forest.cut(start, start + step)

    def embed(self, forest: Forest) -> MicroBatches:
        """The rows of a forest, ready for the first block."""
        micro_batches = MicroBatches(self.mesh, self._rows(forest))
        tokens, positions, ends = (
            places[:, : forest.seen] for places in (forest.tokens, forest.positions, forest.ends)
        )
        params, indices = self.model.source.embed_rows(tokens)
        params["tokens"] = _filled(params["tokens"], self.model.config.vocab_size)
        limit = self.model.config.max_positions
        if limit is not None:  # one more token is only predicted, and no token sees it
            positions = np.minimum(positions, limit - 1)
        micro_batches.add(indices, Context(tree=Tree(positions, ends)))
        embed(self._config, to_device(params, "float32", self.mesh), micro_batches)
        return micro_batches

    def run_blocks(
        self, micro_batches: MicroBatches, layers: range, on_step: Callable[[], None]
    ) -> None:
        """Runs the states through some blocks; `on_step` is called after each."""
        config = self._config
        for i, params in zip(layers, self._parts.blocks(layers), strict=True):
            layer = (params, layer_kind(config, i))
            step = functools.partial(
                run_segment, layer, config=config, mesh=self.mesh, segment=WHOLE_BLOCK
            )
            micro_batches.run(step)
            on_step()

    def score_tokens(
        self, micro_batches: MicroBatches, forest: Forest, on_step: Callable[[], None]
    ) -> tuple[Float[np.ndarray, "R T"], Bool[np.ndarray, "R T"]]:
        """(log-probability, is argmax) of the scored tokens, from the last block's output.

        `on_step` is called after each slice of the vocabulary.
        """
        config, mesh = self._config, self.mesh
        ids, indices = np.unique(forest.tokens, return_inverse=True)
        needed = predictions(forest)
        cuts = micro_batches.cut((needed, indices.astype(np.int32)))
        micro_batches.states = [
            (state, *cut) for state, cut in zip(micro_batches.states, cuts, strict=True)
        ]
        table = _filled(self.model.source.head_rows(ids), config.vocab_size)
        head = (self._parts.norm, to_device(table, self.dtype, mesh))
        results: list[np.ndarray] = []
        micro_batches.run(
            lambda state, _: start_softmax(state, head=head, config=config, mesh=mesh),
            results.append,
        )
        logits = np.concatenate(results)[: len(forest.tokens)]

        def step(params: Any, state: Any, _: Context) -> tuple[Any, None]:
            return run_slice(state, part=params, config=config, mesh=mesh), None

        for params in self._parts.vocabulary():
            micro_batches.run(functools.partial(step, params))
            on_step()
        return finish(forest, needed, logits, micro_batches.states)

    def _rows(self, forest: Forest) -> int:
        return rows_per_device(len(forest.tokens), max(1, self._tokens // forest.seen))


def rows_per_device(rows: int, usual: int) -> int:
    """The number of rows that a device processes at a time, about `usual`.

    For few rows, a number that leaves few places of the last micro-batches of two devices empty. It does not depend on
    the number of devices, so neither do the shapes of products and the bits of scores.
    """
    if rows >= 16 * usual:
        return usual
    sizes = range(usual + usual // 4, (usual - 1) // 2, -1)
    return min(sizes, key=lambda size: -(-rows // (2 * size)) * size)


def check_sequences(model: Model, sequences: Sequence[Sequence[int]]) -> None:
    """Rejects sequences that cannot be scored; see `Scorer.__call__`."""
    positions = model.config.max_positions
    for i, sequence in enumerate(sequences):
        check_tokens(f"sequence {i}", sequence, model.config.vocab_size)
        if positions is not None and len(sequence) > positions + 1:
            raise InputError(
                f"sequence {i} has {len(sequence)} tokens; expected {positions + 1}, the model's "
                "positions and a last token that is only predicted"
            )


def _filled(table: Float[np.ndarray, "N D"], vocab_size: int) -> Float[np.ndarray, "M D"]:
    """The rows of the tokens that occur, padded to a power of two, as each number of rows is compiled."""
    count = min(vocab_size, max(1024, 1 << (len(table) - 1).bit_length()))
    return np.pad(table, ((0, count - len(table)), (0, 0)))
