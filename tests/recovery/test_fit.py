"""A fit by itself: when it ends, and the size of its steps."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

import jaxprune as jp
from jaxprune.base.progress import PassBar
from jaxprune.devices.sharding import device_mesh
from jaxprune.recovery import fit as module
from jaxprune.recovery.config import RecoveryFields
from jaxprune.recovery.fit import fit
from jaxprune.recovery.steps import Loss, optimizer


class Rows(NamedTuple):
    values: np.ndarray
    valid: np.ndarray


class Bar(PassBar):
    def __init__(self):
        self.steps, self.shown = 0, []

    def update(self, steps=1):
        self.steps += steps

    def show(self, text):
        self.shown.append(text)


def squares(config, dtype, masters, fixed, values, valid):
    return jnp.sum(jnp.where(valid, jnp.square(masters["number"] - values), 0))


@pytest.mark.parametrize(
    ("losses", "epochs", "best"),
    [
        ([5, 4, 3, 2, 1], 4, 4),
        ([5, 4, 4.5, 4], 3, 1),  # an equal loss is no lower one
        ([5, 4, 4.5, 3, 3.5, 3.2], 5, 3),
        ([5, 6, 7], 2, 0),
    ],
)
def test_it_ends_after_two_epochs_in_a_row_without_a_lower_loss(losses, epochs, best, monkeypatch):
    given = iter(losses)
    monkeypatch.setattr(module, "mean_loss", lambda *_: next(given))
    units = [Rows(np.full((1, 2), i, np.float32), np.ones((1, 2), bool)) for i in range(4)]
    fields = RecoveryFields(epochs=max(epochs, 4), batch=1, held_out=0.3)
    loss = Loss(squares, (), jp.load("nano").config, "float32")
    parameters = {"number": np.ones(1, np.float32)}
    bar = Bar()
    result = fit(parameters, {}, units, loss, fields, 0, device_mesh(), bar)
    assert len(bar.shown) == epochs
    assert bar.steps == fields.epochs * 3  # also those that were not needed
    assert (result.before, result.after, result.epochs) == (losses[0], losses[best], best)
    assert np.array_equal(result.params["number"], [1]) == (best == 0)


def test_a_step_is_relative_to_each_layer_of_stacked_parameters():
    layers = np.array([[1.0, 2.0], [300.0, 400.0], [0.0, 0.0]], np.float32)
    gradients = np.array([[1.0, -2.0], [3.0, 1.0], [-1.0, 1.0]], np.float32)

    def updates(parameters, gradients):
        chain = optimizer(0.1, 20)
        state = chain.init({"scale": parameters})
        for _ in range(3):
            update, state = chain.update({"scale": gradients}, state, {"scale": parameters})
        return update["scale"]

    alone = [updates(p[None], g[None])[0] for p, g in zip(layers, gradients, strict=True)]
    together = updates(layers, gradients)
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-6)
