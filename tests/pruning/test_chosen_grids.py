"""Grids of kernels under a limit of bytes against all assignments, and what each error that was measured changes."""

import itertools

import numpy as np
import pytest
import transformers
from conftest import random_torch

import jaxprune as jp
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.gguf.write import file_size
from jaxprune.models.grids import GRIDS
from jaxprune.models.model import kernel_shapes
from jaxprune.pruning.quantization import QuantizeFields

NAMES = ("q4_0", "q5_0", "q8_0")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Two blocks of four kernels, of three sizes."""
    folder = tmp_path_factory.mktemp("grids")
    config = transformers.BloomConfig(vocab_size=32, hidden_size=32, n_layer=2, n_head=2)
    random_torch(config).save_pretrained(folder)
    return jp.load(folder)


def kernels_of(model):
    """Layer, path and weights of each kernel."""
    shapes = kernel_shapes(model.config).items()
    return [(n, p, int(np.prod(s))) for n in range(model.config.n_layers) for p, s in shapes]


def errors(model, seed):
    """Errors of the kernels with each grid, [kernels, grids], which fall with the bits, each in its own way."""
    rng = np.random.default_rng(seed)
    falls = np.exp(rng.normal(size=(len(kernels_of(model)), len(NAMES))))
    return np.cumsum(falls[:, ::-1], axis=1)[:, ::-1] * np.exp(2 * rng.normal(size=(len(falls), 1)))


def sizes(model):
    """Bytes of the kernels in each grid, [kernels, grids]."""
    return np.array([[GRIDS[g].bits * n / 8 for g in NAMES] for _, _, n in kernels_of(model)])


def choice(model, table, room):
    """The index of each kernel's grid in a file that may have this many bytes more than the smallest."""
    measured = [{} for _ in range(model.config.n_layers)]
    for (layer, path, _), row in zip(kernels_of(model), table, strict=True):
        measured[layer][path] = [float(error) for error in row]
    least = file_size(model, Types(NAMES[0], "q8_0"))
    types = QuantizeFields(grid=NAMES[0], size=least + int(room)).types(model, measured)
    assert file_size(model, types) <= least + room
    return [NAMES.index(types.by_layer[layer][path]) for layer, path, _ in kernels_of(model)]


def of_choice(table, chosen):
    return float(table[np.arange(len(table)), chosen].sum())


def all_choices(model, table):
    """Error, and bytes beyond the smallest file, of every assignment of grids to kernels."""
    every = np.array([*itertools.product(range(len(NAMES)), repeat=len(table))])
    places, bytes_ = np.arange(len(table)), sizes(model)
    return table[places, every].sum(axis=1), (bytes_[places, every] - bytes_[:, 0]).sum(axis=1)


@pytest.mark.parametrize("seed", range(4))
def test_no_assignment_loses_less_by_more_than_one_kernel(seed, model):
    """Where a price per byte gives every kernel its best grid by itself, the choice is the best of all.

    Elsewhere room is left that the next grid does not fit: then it loses at most what that grid would gain.
    """
    table = errors(model, seed)
    every, rooms = all_choices(model, table)
    one = float((table[:, 0] - table[:, -1]).max())
    for room in np.linspace(0, rooms.max(), 9):
        chosen = of_choice(table, choice(model, table, room))
        best = every[rooms <= room].min()
        assert best <= chosen * (1 + 1e-9)
        assert chosen <= best + one
    for price in np.geomspace(1e-5, 1.0, 12):
        cheapest = np.argmin(table + price * sizes(model), axis=1)
        room = (sizes(model)[np.arange(len(table)), cheapest] - sizes(model)[:, 0]).sum()
        chosen = of_choice(table, choice(model, table, room))
        assert chosen == pytest.approx(every[rooms <= room].min(), rel=1e-9)


def test_the_choice_follows_the_errors(model):
    """Errors that change places take their grids with them."""
    table = errors(model, 0)
    room = 0.4 * (sizes(model)[:, -1] - sizes(model)[:, 0]).sum()
    half = len(table) // 2  # the kernels of a block
    first = choice(model, table, room)
    assert first[:half] != first[half:]
    assert choice(model, np.roll(table, half, axis=0), room) == [*first[half:], *first[:half]]
    # one kernel's errors alone: without loss it has the fewest bits, with a large one the most
    for factor, grid in ((0.0, 0), (1e6, len(NAMES) - 1)):
        for kernel in range(len(table)):
            changed = table.copy()
            changed[kernel] *= factor
            assert choice(model, changed, room)[kernel] == grid
