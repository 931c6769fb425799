"""How many CPU devices there are, where nobody says."""

import jax
import pytest

from jaxprune.devices.sharding import one_cpu_device_per_core


@pytest.mark.parametrize(
    ("environment", "sets"),
    [
        ({}, True),
        ({"XLA_FLAGS": "--xla_cpu_use_thunk_runtime=true"}, True),
        ({"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}, False),
        ({"JAX_NUM_CPU_DEVICES": "5"}, False),
    ],
)
def test_a_number_of_cpu_devices_that_is_set_stays(monkeypatch, environment, sets):
    updates = {}
    for name in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(jax.config, "update", updates.__setitem__)
    one_cpu_device_per_core()
    assert list(updates) == (["jax_num_cpu_devices"] if sets else [])
