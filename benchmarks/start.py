"""What it takes until something happens: imports, --help, a bad flag, a micro-model's run that compiles or need not.

python benchmarks/start.py

CPU seconds of processes, which other work on the machine disturbs least; the median of rounds in which all take turns.
The package is the one that this Python has.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BASE = "import jax; from flax import nnx"
PRUNE = ["-m", "jaxprune", "prune", "--config=nano", "--overwrite"]
COMMANDS = {
    BASE: ["-c", BASE],
    "import jaxprune as jp; jp.load": ["-c", "import jaxprune as jp; jp.load"],
    "import jaxprune as jp; jp.prune": ["-c", "import jaxprune as jp; jp.prune"],
    "jaxprune --help": ["-m", "jaxprune", "--help"],
    "jaxprune prune --help": ["-m", "jaxprune", "prune", "--help"],
    "jaxprune prune --no-such-flag": ["-m", "jaxprune", "prune", "--no-such-flag"],
    "jaxprune prune --config nano, JAXPRUNE_CACHE=off": [*PRUNE, "--workdir=first"],
    "jaxprune prune --config nano": [*PRUNE, "--workdir=second"],
}


def cpu_seconds(arguments: list[str], folder: Path, **environment: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=os.environ | environment, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != (2 if "--no-such-flag" in arguments else 0):
        sys.exit(f"{arguments}: ended with {done.returncode}: {done.stderr}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        # not in the working folder, where `jaxprune/` in it would pass for the package
        cache = {"XDG_CACHE_HOME": f"{folder}/cache"}
        place = Path(folder, "work")
        place.mkdir()
        for number in range(rounds + 1):
            for name, arguments in COMMANDS.items():
                off = {"JAXPRUNE_CACHE": "off"} if "off" in name else {}
                seconds = cpu_seconds(arguments, place, **cache, **off)
                if number:  # in the first round files are read from disk, and programs compiled
                    taken[name].append(seconds)
    base = statistics.median(taken[BASE])
    print("| | CPU seconds | |\n| --- | --- | --- |")
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"| `{name}` | {median:.2f} | {median / base:.2f}x |")


if __name__ == "__main__":
    main()
