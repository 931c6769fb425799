"""Prunes small models under random trouble: a run is complete and right, or not complete and says why.

    python tests/chaos.py --minutes 10 --runs 200

Signals, limits of memory and of files, full disks, edits of the model and of its calibration set, two processes of
which one dies, two starts at once, damaged files, many of these in a row. What is left is compared with what the same
command makes undisturbed. Prints each finding with the command that repeats it, and a table; exit code 1 if there is
a finding. --seed makes other runs; moments that are steps of a process repeat exactly, those by the clock about.
"""

import argparse
import dataclasses
import gc
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# A process that forks has one thread.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import quick_compiler  # noqa: F401, I001

import chaos_kinds
import chaos_process
import chaos_world
from chaos_case import Case

from jaxprune.cli.configured import leave_torch_alone


@dataclasses.dataclass
class Tally:
    """Of one kind of trouble."""

    runs: int = 0
    tried: int = 0
    complete: int = 0
    findings: int = 0


def draw(world: chaos_world.World, seed: int, number: int) -> tuple[str, Case]:
    """Run `number`: its kind, and its case."""
    rng = random.Random(f"{seed}/{number}")
    kinds = chaos_kinds.KINDS
    [kind] = rng.choices(list(kinds), [weight for _, weight in kinds.values()])
    model = rng.choice(chaos_world.MODELS)
    text = model not in chaos_world.TINY and rng.random() < 0.4
    criterion = rng.choice(("wanda", "wanda", "magnitude", *(() if text else ("refined",))))
    fields = {
        "pruning.criterion": criterion,
        "pruning.propagate": rng.choice(("block", "dense", "site")),
        "pruning.sparsity": rng.choice((0.3, 0.5)),
        "output.params": rng.random() < 0.3,
        "output.hf": rng.random() < 0.8,
    }
    folder = world.root / f"run-{number}"
    world.lay_out(folder, model, text=text)
    case = Case(world, folder, rng, fields, devices=rng.choice((1, 2)), workdir=folder / "run")
    case.story.append(f"{kind}: {model}, {'text' if text else 'tokens'}, {fields}")
    return kind, case


def play(world: chaos_world.World, seed: int, number: int) -> dict[str, object]:
    """Run `number` from begin to end."""
    kind, case = draw(world, seed, number)
    try:
        chaos_kinds.KINDS[kind][0](case)
    except Exception:
        case.find(f"chaos itself: {traceback.format_exc()}")
    return {
        "kind": kind, "tried": case.tried, "complete": case.complete,
        "findings": case.findings, "story": case.story,
    }  # fmt: skip


class Board:
    """Plays runs, some at a time, each in a process that forks those of its own."""

    def __init__(self, world: chaos_world.World, options: argparse.Namespace) -> None:
        self.tallies = {kind: Tally() for kind in chaos_kinds.KINDS}
        self._world, self._options = world, options
        self._running: dict[int, int] = {}

    def play(self, numbers: list[int], end: float) -> None:
        left = iter(numbers)
        more = True
        while more or self._running:
            while more and len(self._running) < self._options.workers:
                number = next(left, None)
                more = number is not None and time.monotonic() < end
                if more and number is not None:
                    self._start(number)
            if self._running:
                pid, _ = os.wait()
                self._take(self._running.pop(pid))

    def _start(self, number: int) -> None:
        told = self._world.root / f"told-{number}.json"

        def job() -> int:
            told.write_text(json.dumps(play(self._world, self._options.seed, number)))
            return 0

        self._running[chaos_process.fork(job)] = number

    def stop(self) -> None:
        """Ends the runs that are under way."""
        for pid in self._running:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)

    def _take(self, number: int) -> None:
        told = self._world.root / f"told-{number}.json"
        said = json.loads(told.read_text())
        tally = self.tallies[said["kind"]]
        tally.runs += 1
        tally.tried += said["tried"]
        tally.complete += said["complete"]
        tally.findings += bool(said["findings"])
        if said["findings"] or self._options.verbose:
            print(
                f"run {number}: python tests/chaos.py --seed {self._options.seed} --only {number}"
            )
            print("".join(f"  {line}\n" for line in said["story"]), flush=True)
        if not (said["findings"] and self._options.keep):
            shutil.rmtree(self._world.root / f"run-{number}", ignore_errors=True)


def table(tallies: dict[str, Tally]) -> str:
    """Kinds of trouble → what came of them."""
    total = Tally(*map(sum, zip(*map(dataclasses.astuple, tallies.values()), strict=True)))
    lines = [
        f"{'trouble':18}{'runs':>6}{'commands':>10}{'complete':>10}{'ended':>8}{'findings':>10}"
    ]
    for kind, one in {**tallies, "all": total}.items():
        ended = one.tried - one.complete
        lines.append(
            f"{kind:18}{one.runs:6}{one.tried:10}{one.complete:10}{ended:8}{one.findings:10}"
        )
    return "\n".join(lines)


def import_all() -> None:
    """What runs import, once for all of them."""
    leave_torch_alone()
    importlib.import_module("jaxprune.runs.planning")
    importlib.import_module("transformers").AutoTokenizer  # noqa: B018  comes when it is asked for


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="no run starts after these")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="for other runs")
    parser.add_argument("--only", type=int, help="the run of this number")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time")
    parser.add_argument("--verbose", action="store_true", help="tell of every run")
    parser.add_argument("--keep", action="store_true", help="leave the folders of findings")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    root = Path(tempfile.mkdtemp(prefix="chaos-"))
    os.environ["XDG_CACHE_HOME"] = str(root / "cache")  # digests of files are kept, as for any user
    world = chaos_world.World(root)
    import_all()
    chaos_process.one_thread()
    gc.freeze()  # pages of what is imported stay shared
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    board = Board(world, options)
    try:
        world.make()
        print(
            f"references are made, {options.minutes * 60 + time.monotonic() - end:.0f} s",
            flush=True,
        )
        board.play([options.only] if options.only is not None else list(range(options.runs)), end)
    finally:
        board.stop()
        if options.keep:
            print(root)
        else:
            world.clear()
    print(table(board.tallies))
    return int(any(tally.findings for tally in board.tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
