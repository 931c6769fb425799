"""How the benchmarks take time."""

import time


def seconds(call):
    """Seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def matmul_rate(dtype="float32"):
    """Operations a second of one large product, the best of three."""
    import jax  # late: a script may have to say first which devices there are

    size = 4096
    a = jax.numpy.ones((size, size), dtype)
    product = jax.jit(lambda a: jax.numpy.matmul(a, a, preferred_element_type="float32"))
    product(a).block_until_ready()
    return 2 * size**3 / min(seconds(lambda: product(a).block_until_ready()) for _ in range(3))
