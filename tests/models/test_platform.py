"""What the devices are, by what JAX says of them."""

from types import SimpleNamespace

import jax
import pytest

from jaxprune.models.attention.platform import platform


@pytest.mark.parametrize(
    ("backend", "capability", "name"),
    [
        ("cpu", None, "cpu"),
        ("tpu", None, "tpu"),
        ("gpu", "7.5", "gpu"),
        ("gpu", "8.0", "sm80"),
        ("gpu", "9.0", "sm90"),
        ("gpu", "12.1", "sm90"),
        ("gpu", "gfx90a", "gpu"),  # AMD's
    ],
)
def test_gpus_are_told_apart_by_their_compute_capability(backend, capability, name, monkeypatch):
    device = (
        SimpleNamespace() if capability is None else SimpleNamespace(compute_capability=capability)
    )
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert platform() == name
