"""A sweep of 24 variants of a bundled micro-model by several workers.

    python benchmarks/workers.py OUT --kills 10 --every 12

Prints the wall times of 1, 2 and 4 workers, each on its core. Then of two workers one is killed every few seconds, and
started again at once. All must have the tables of one worker, and no file of a finished variant may be written twice.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

SWEEP = [
    "--config", "sweep_nano", "--config.evaluation.tasks=nano_nli", "--config.calibration.samples=249",
    "--config.sweep.grid=pruning.criterion=magnitude|wanda calibration.kind=monolingual|translation "
    "calibration.source=de|en|fr|sw pruning.sparsity=0.3|0.4|0.5",
]  # fmt: skip


def start(workdir, core, log):
    """A worker on one core."""
    command = [sys.executable, "-m", "jaxprune", "sweep", *SWEEP, "--workdir", str(workdir)]
    return subprocess.Popen(
        command, preexec_fn=lambda: os.sched_setaffinity(0, {core}), stdout=log, stderr=log
    )


def workers(out, count):
    """Seconds of a sweep by so many workers, and its tables."""
    workdir = out / f"{count}"
    cores = sorted(os.sched_getaffinity(0))
    began = time.perf_counter()
    with (out / f"{count}.log").open("w") as log:
        started = [start(workdir, cores[n % len(cores)], log) for n in range(count)]
        codes = [worker.wait() for worker in started]
    assert not any(codes), f"{codes}, see {out / f'{count}.log'}"
    return time.perf_counter() - began, tables(workdir)


def tables(workdir):
    """The contents of measurements.csv and changes.csv."""
    return [(workdir / name).read_text() for name in ("measurements.csv", "changes.csv")]


def finished(workdir):
    """When each file that completes a variant, or its scores, was written."""
    files = [*workdir.glob("*/report.json"), *workdir.glob("*/*/evaluation.json")]
    return {str(file.relative_to(workdir)): file.stat().st_mtime_ns for file in files}


def killed(out, most, every):
    """The tables of two workers, of which a random one is killed so many times, with so many seconds between."""
    workdir, rng, cores = out / "killed", random.Random(0), sorted(os.sched_getaffinity(0))
    seen, kills, began = {}, 0, time.perf_counter()
    with (out / "killed.log").open("w") as log:
        running = [start(workdir, core, log) for core in cores[:2]]
        while any(worker.poll() is None for worker in running):
            time.sleep(0.2)
            for name, when in finished(workdir).items():
                assert seen.setdefault(name, when) == when, f"{name} was made twice"
            elapsed = time.perf_counter() - began
            if kills < most and elapsed > (kills + 1) * every:
                place = rng.randrange(len(running))
                running[place].send_signal(signal.SIGKILL)
                running[place].wait()
                running[place] = start(workdir, cores[place], log)
                kills += 1
        codes = [worker.wait() for worker in running]
    assert not any(codes), f"{codes}, see {out / 'killed.log'}"
    print(
        f"{kills} workers killed in {time.perf_counter() - began:.0f} s; {len(seen)} files, each written once"
    )
    return tables(workdir)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--every", type=float, default=12, help="seconds")
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    alone, first = workers(given.out, 1)
    print(f"1 worker: {alone:.0f} s", flush=True)
    for count in (2, 4):
        seconds, found = workers(given.out, count)
        assert found == first, "the tables differ"
        ideal = alone / min(count, len(os.sched_getaffinity(0)))
        print(
            f"{count} workers: {seconds:.0f} s, {ideal / seconds:.0%} of the ideal; same tables",
            flush=True,
        )
    assert killed(given.out, given.kills, given.every) == first, "the tables differ"


if __name__ == "__main__":
    main()
