"""Memory that CPU devices take as it is."""

import jax
import numpy as np
import pytest

from jaxprune.hf.aligned import aligned_cast, aligned_empty


@pytest.mark.parametrize("shape", [(3, 5), (1024, 33), ()])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, jax.numpy.bfloat16])
def test_begins_at_a_multiple_of_64_bytes_whatever_the_shape(shape, dtype):
    for _ in range(4):
        array = aligned_empty(shape, dtype)
        assert (array.shape, array.dtype) == (shape, dtype)
        assert (array.ctypes.data % 64, array.flags.c_contiguous) == (0, True)


def test_all_cpu_devices_take_the_memory_itself():
    array = aligned_empty((64, 64), np.float32)
    array[...] = 1
    for device in jax.devices():
        assert jax.device_put(array, device).unsafe_buffer_pointer() == array.ctypes.data


def test_a_donated_buffer_leaves_the_array_alone():
    """Pruned kernels take the place of dense ones on the devices; the host's are read again to write them."""
    array = aligned_empty((64, 64), np.float32)
    array[...] = 1
    tripled = jax.jit(lambda x: x * 3, donate_argnums=0)(jax.device_put(array))
    np.testing.assert_array_equal(tripled, 3)
    np.testing.assert_array_equal(array, 1)


def test_cast_rounds_as_numpy_and_copies_only_what_differs():
    array = np.random.default_rng(0).standard_normal((7, 9)).astype(np.float32)
    assert aligned_cast(array, np.float32) is array
    for other in (array.T, array[:, ::2], array):
        cast = aligned_cast(other, jax.numpy.bfloat16)
        np.testing.assert_array_equal(cast, other.astype(jax.numpy.bfloat16))
        assert (cast.ctypes.data % 64, cast.flags.c_contiguous) == (0, True)
