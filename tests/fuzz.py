"""Fuzzes the readers of foreign files: whatever the bytes, a sound value or an InputError of one line.

    python tests/fuzz.py --seconds 120

Prints, for each reader, how many files it was given, how many it took, and each failure with the
shortest file that shows it. Exit code 1 if there is one. A run is reproducible up to its length.
"""

import argparse
import collections
import contextlib
import dataclasses
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import fuzz_changes
import fuzz_checks as checks
import fuzz_files as made
import jinja2  # noqa: F401  # imported late by pages: its import runs generated code, which the watch would report

from jaxprune.base.errors import InputError
from jaxprune.report import document

EXTRA_MEMORY = 200 << 20  # bytes that a reader may map beyond what it found
DEADLINE = 5.0  # seconds for one file
ROUND = 100  # files until the next reader has its turn
LONGEST_MESSAGE = 2000
ANNOTATIONS = {"typing", "msgspec._utils"}  # evaluate those of a record when it is first read
FORBIDDEN = {"os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class"}


@dataclasses.dataclass(frozen=True)
class Target:
    """A reader: the file that it is given, sound ones, how these are changed, and a call that also checks the value."""

    name: str
    file: str
    seeds: list[bytes]
    changes: tuple[fuzz_changes.Change, ...]
    read: Callable[[Path], object]


of_bytes, of_json = (fuzz_changes.of_bytes,), (fuzz_changes.of_bytes, fuzz_changes.of_json)
of_line, of_header = (*of_json, fuzz_changes.of_line), (*of_bytes, fuzz_changes.of_header)
of_member = (*of_bytes, fuzz_changes.of_member, fuzz_changes.of_member)
TARGETS = [
    Target("safetensors", "model.safetensors", made.safetensors_files(), of_header, checks.read_safetensors),
    Target("bin", "pytorch_model.bin", made.bin_files(), of_member, checks.read_torch_bin),
    Target("config", "config.json", made.config_files(), of_json, checks.read_config),
    Target("index", "model.safetensors.index.json", made.index_files(), of_json, checks.read_index),
    Target("report", "report.json", made.report_files(), of_json, checks.read_run),
    Target("measurements", "measurements.csv", made.measurement_files(), of_bytes, checks.read_measured),
    Target("table of files", "files.json", made.table_files(), of_json, checks.read_table),
    Target("tokens", "tokens.npz", made.npz_files(), of_member, checks.read_tokens),
    Target("jsonl", "fr.jsonl", made.jsonl_files(), of_line, checks.read_rows),
    Target("csv", "fr.csv", made.csv_files(), of_bytes, checks.read_rows),
    Target("text", "fr.txt", made.text_files(), of_bytes, checks.read_lines),
]  # fmt: skip


class Late(BaseException):
    """The deadline of one file. No Exception, so that no reader takes it for an error of its own."""


class Watch:
    """Runs a reader with little memory and time, and looks whether it runs anything."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.on = False
        signal.signal(signal.SIGALRM, self._late)
        sys.addaudithook(self._audit)

    def _late(self, *_: object) -> None:
        raise Late

    def _audit(self, event: str, arguments: tuple) -> None:
        # Imports run code too, but not code from nowhere.
        source = getattr(arguments[0], "co_filename", "") if event == "exec" else ""
        if source and sys._getframe(1).f_globals.get("__name__") in ANNOTATIONS:
            return
        if self.on and (event in FORBIDDEN or source.startswith("<")):
            self.ran.append(f"{event} {arguments!r}"[:200])

    @contextlib.contextmanager
    def watching(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        with contextlib.suppress(FileNotFoundError):  # Linux only
            mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (mapped + EXTRA_MEMORY, hard))
        self.ran.clear()
        self.on = True
        signal.setitimer(signal.ITIMER_REAL, DEADLINE)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.on = False
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@dataclasses.dataclass
class Tally:
    """What became of one reader's files; `failures` holds the shortest of each kind."""

    target: Target
    folder: Path
    examples: int = 0
    taken: int = 0
    failures: dict[str, tuple[bytes, str]] = dataclasses.field(default_factory=dict)
    said: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def run(self, data: bytes, watch: Watch) -> None:
        """Gives the reader one file, and notes where it breaks its promise."""
        self.examples += 1
        path = self.folder / self.target.file
        path.write_bytes(data)
        kind = message = ""
        try:
            with watch.watching():
                self.target.read(path)
            self.taken += 1
        except InputError as error:
            message = str(error)
            self.said[message.replace(str(self.folder), "")[:60]] += 1
            if not message.isprintable() or not message:
                kind = f"a message of more than one line, {_place(error)}"
            elif len(message) > LONGEST_MESSAGE:
                kind = f"a message without end, {_place(error)}"
            elif str(self.folder) not in message:
                kind = f"a message that names no file, {_place(error)}"
        except Late as error:
            kind, message = f"slower than {DEADLINE} s, {_place(error)}", ""
        except Exception as error:
            kind, message = f"{type(error).__name__}, {_place(error)}", str(error)
        if watch.ran or made.CANARY.exists():
            kind, message = "code was run", "; ".join(watch.ran)
            made.CANARY.unlink(missing_ok=True)
        if kind:
            shortest = self.failures.get(kind, (data, ""))[0]
            if len(data) <= len(shortest):
                self.failures[kind] = (data, message)


def _place(error: BaseException) -> str:
    """The innermost line of the package, or of the check, in the error's traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "jaxprune" in Path(f.filename).parts or "fuzz_checks" in f.filename]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "outside the package"


def play_round(tally: Tally, watch: Watch, rng: random.Random) -> None:
    """ROUND files for one reader: sound ones with a few changes."""
    for _ in range(ROUND):
        data = rng.choice(tally.target.seeds)
        for _ in range(rng.randint(0, 4)):
            data = rng.choice(tally.target.changes)(data, rng)
        tally.run(data, watch)


def report(tally: Tally, keep: Path | None) -> None:
    print(f"{tally.target.name}: {tally.examples} files, {tally.taken} taken, ", end="")
    print(f"{len(tally.said)} kinds of message, {len(tally.failures)} failures")
    for number, (kind, (data, message)) in enumerate(tally.failures.items()):
        print(f"  {kind}: {message[:200]!r}")
        print(f"    {len(data)} bytes: {data[:400]!r}")
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{number}-{tally.target.file}").write_bytes(data)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="for all readers together")
    parser.add_argument("--seed", type=int, default=0, help="for other files")
    parser.add_argument("--only", help="one reader, by name")
    parser.add_argument("--keep", type=Path, help="folder that gets the failing files")
    options = parser.parse_args()
    document.page_svg = repr  # what draws maps more memory than the watch allows
    targets = [t for t in TARGETS if options.only in (None, t.name)]
    memory = Path("/dev/shm")  # thousands of small files
    root = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))
    watch = Watch()
    tallies: list[Tally] = []
    try:
        for number, target in enumerate(targets):
            folder = root / f"{number}"
            folder.mkdir()
            made.prepare(folder)
            tallies.append(Tally(target, folder))
        end = time.monotonic() + options.seconds
        rng = random.Random(options.seed)
        while time.monotonic() < end:
            for tally in tallies:
                play_round(tally, watch, rng)
    finally:
        shutil.rmtree(root)
    for tally in tallies:
        report(tally, options.keep)
    return int(any(tally.failures for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
