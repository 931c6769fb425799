"""How the benchmarks take time."""

import time


def seconds(call):
    """Seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
