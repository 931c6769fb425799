"""Blocks in their order, each read while its predecessor is worked on."""

import threading

import jax
import ml_dtypes
import numpy as np
import pytest
from device_jobs import xglm_shaped

import jaxprune as jp
from jaxprune.devices.products import product_dtype
from jaxprune.devices.sharding import device_mesh
from jaxprune.stats.blocks import blocks, prefetch


@pytest.mark.instructions
def test_blocks_are_the_model_s_on_the_host_and_on_the_devices():
    model = xglm_shaped(3)
    for layers in (None, range(1, 3), range(2, 2)):
        found = list(blocks(model, "bfloat16", device_mesh(1), layers))
        wanted = range(3) if layers is None else layers
        assert len(found) == len(wanted)
        for layer, (host, device) in zip(wanted, found, strict=True):
            want = jax.tree.map(lambda leaf, i=layer: np.asarray(leaf[i]), model.params["blocks"])
            jax.tree.map(np.testing.assert_array_equal, host, want)
            rounded = jax.tree.map(lambda leaf: leaf.astype(ml_dtypes.bfloat16), want)
            jax.tree.map(np.testing.assert_array_equal, device, rounded)
            kinds = {leaf.dtype.name for leaf in jax.tree.leaves(device)}
            assert kinds == {product_dtype("bfloat16")}


@pytest.mark.parametrize("processes", [1, 2])
def test_prefetch_keeps_order_and_reads_one_ahead_on_another_thread(processes, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: processes)
    reads, finished = [], []

    def read(i):
        reads.append((i, threading.current_thread().name))
        return i * i

    def finish(i, value):
        finished.append(threading.current_thread().name)
        return value + i

    for i, value in enumerate(prefetch(read, finish, range(3, 8))):
        assert value == (i + 3) ** 2 + i + 3
        assert len(reads) <= i + 2
    assert [i for i, _ in reads] == [3, 4, 5, 6, 7]
    here = threading.current_thread().name
    assert here not in {name for _, name in reads}
    # several processes exchange in `finish`: in the caller's thread, in its order
    assert {name == here for name in finished} == {processes > 1}
    assert list(prefetch(read, finish, range(0))) == []


def test_prefetch_passes_errors_on():
    def read(i):
        if i == 2:
            raise jp.InputError("block 2 is cut off")
        return i

    found = prefetch(read, lambda i, value: value, range(4))
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(jp.InputError, match="block 2 is cut off"):
        next(found)
