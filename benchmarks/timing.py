"""How the benchmarks take time, and the rates of a device that times are held against."""

import statistics
import time


def seconds(call):
    """Seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def repeated(call, budget=8.0, most=5):
    """Times of a call: the first, which may compile, and the median of those after it, as many as fit the budget."""
    first, runs = seconds(call), []
    while not runs or (len(runs) < most and sum(runs) + runs[-1] < budget):
        runs.append(seconds(call))
    return {"first_seconds": first, "seconds": statistics.median(runs), "runs": runs}


def matmul_rate(dtype="float32", size=4096, products=1):
    """Operations a second of large products, one after another, the best of three; float32 as float32, not TF32."""
    import jax  # late: a script may have to say first which devices there are

    # random: zeros and ones are multiplied faster on some devices. Of this size, products stay as large as factors.
    a = (jax.random.normal(jax.random.key(0), (size, size)) / size**0.5).astype(dtype)

    @jax.jit
    def product(a, b):
        with jax.default_matmul_precision("float32"):
            return jax.numpy.matmul(a, b, preferred_element_type="float32").astype(dtype)

    return 2 * size**3 * products / _best(lambda b: product(a, b), a, products)


def memory_rate(size=1 << 30, passes=10):
    """Bytes a second that a device reads and writes, going through an array that is larger than its caches."""
    import jax

    x = jax.random.normal(jax.random.key(0), (size // 4,))
    return 2 * size * passes / _best(jax.jit(lambda x: x * 1.01), x, passes)


def link_rate(size=1 << 28):
    """Bytes a second from the host's memory to the device's, as arrays of numpy go there."""
    import jax
    import numpy as np

    device = jax.local_devices()[0]
    x = np.random.default_rng(0).standard_normal(size // 4, np.float32)
    return size / _best(lambda _: jax.device_put(x, device), None, 1)


def _best(step, x, times):
    """Least seconds of three for so many steps, each on what the last one gave; a first one compiles."""

    def run():
        y = x
        for _ in range(times):
            y = step(y)
        y.block_until_ready()

    run()
    return min(seconds(run) for _ in range(3))
