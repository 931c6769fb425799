"""The kinds of trouble that chaos.py makes: each is a function of a case."""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator

import chaos_process
from chaos_case import Case
from chaos_edits import damage, edits
from chaos_process import NONE, Trouble

Kind = Callable[[Case], None]
MB = 1 << 20


def _under(case: Case, trouble: Trouble, *more: str) -> None:
    """One process of the command under trouble."""
    process = case.start(*more, trouble=trouble)
    chaos_process.wait([process])
    case.judge([process], [case.right()])


def _memory(case: Case) -> Trouble:
    extra = case.rng.randrange(50 * MB, 2500 * MB)
    return Trouble(f"{extra / MB:.0f} MB of addresses more", memory=extra)


def _file_size(case: Case) -> Trouble:
    size = int(2 ** case.rng.uniform(14, 25))  # more than a line on stderr
    return Trouble(f"files up to {size} bytes", file_size=size)


def signals(case: Case) -> None:
    """Signals, one run after another."""
    for _ in range(case.rng.randint(1, 3)):
        _under(case, case.signal())
    case.end()


def memory(case: Case) -> None:
    """Limits of the address space."""
    for _ in range(case.rng.randint(1, 2)):
        _under(case, _memory(case))
    case.end()


def file_sizes(case: Case) -> None:
    """Limits of the size of a file."""
    for _ in range(case.rng.randint(1, 2)):
        _under(case, _file_size(case))
    case.end()


@contextlib.contextmanager
def _small_disk(case: Case, size: int) -> Iterator[bool]:
    """The workdir on a file system of its own; False where none can be made."""
    disk = case.folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    made = shutil.which("mount") and subprocess.run(mount, capture_output=True).returncode == 0
    case.workdir = disk / "run" if made else case.workdir
    try:
        yield bool(made)
    finally:
        if made:
            subprocess.run(["umount", str(disk)], check=True)


def full_disk(case: Case) -> None:
    """A disk that is too small, until it is not."""
    size = int(2 ** case.rng.uniform(16, 25))
    with _small_disk(case, size) as made:
        if not made:
            return file_sizes(case)
        for _ in range(case.rng.randint(1, 2)):
            _under(case, Trouble(f"a disk of {size >> 10} KiB"))
        larger = ["mount", "-o", f"remount,size={64 * MB}", str(case.folder / "disk")]
        subprocess.run(larger, check=True)
        case.end()
    return None


def edit_between(case: Case) -> None:
    """A file of the model or of the calibration set changes between stop and go-on."""
    case.stop_midway()
    for _ in range(case.rng.randint(1, 2)):
        case.edit(case.rng.choice(edits(case.folder)))
    _under(case, case.signal() if case.rng.random() < 0.3 else NONE)
    case.end(may_refuse=True)


def edit_during(case: Case) -> None:
    """A file of the model or of the calibration set changes while the command runs."""
    if case.rng.random() < 0.3:
        case.stop_midway()
    before = case.right()
    process = case.start(trouble=case.editing(case.rng.choice(edits(case.folder))))
    chaos_process.wait([process])
    case.judge([process], [before, case.right()])
    case.end(may_refuse=True)


def two_processes(case: Case) -> None:
    """Two processes, to one of which something happens."""
    case.devices = 1
    whom = case.rng.randrange(2)
    for _ in range(case.rng.randint(1, 2)):
        running = case.start_two(
            {whom: case.signal_to_one_of_two()} if case.rng.random() < 0.9 else {}
        )
        chaos_process.wait(running)
        case.judge(running, [case.right()])
    if case.rng.random() < 0.3:
        running = case.start_two({})
        chaos_process.wait(running)
        if not case.judge(running, [case.right()], undisturbed=True):
            case.find("two processes without trouble do not complete")
    case.end()


def two_starts(case: Case) -> None:
    """The same command twice at a time in one workdir, or two commands."""
    troubles = [case.signal() if case.rng.random() < 0.3 else NONE for _ in range(2)]
    right = [case.right()]
    running = [case.start(trouble=troubles[0])]
    first, other = dict(case.fields), dict(case.fields)
    if case.rng.random() < 0.4:
        other["pruning.sparsity"] = 0.6
    case.fields = other
    right.append(case.right())
    pause = case.rng.uniform(0, right[0].seconds)
    case.story.append(f"the second one {pause:.3f} s later")
    chaos_process.wait(running, pause)
    running.append(case.start(trouble=troubles[1]))
    chaos_process.wait(running)
    case.judge(running, right)
    case.fields = first
    case.end(may_refuse=True)


def another_config(case: Case) -> None:
    """Another config into a finished workdir, with --overwrite or without, under trouble."""
    case.end()
    case.fields = case.fields | {"pruning.sparsity": 0.6}
    for _ in range(case.rng.randint(1, 2)):
        trouble = case.rng.choice((case.signal, lambda: _file_size(case), lambda: NONE))()
        more = ("--overwrite",) if case.rng.random() < 0.8 else ()
        _under(case, trouble, *more)
    case.end("--overwrite")


def damaged_progress(case: Case) -> None:
    """A file of an unfinished run is damaged."""
    case.stop_midway()
    progress = case.workdir / "progress"
    if not progress.is_dir() or not any(
        path.stat().st_size for path in progress.rglob("*") if path.is_file()
    ):
        return case.end()
    case.story.append(f"damage: progress/{damage(progress, case.rng)}")
    _under(case, Trouble("damaged progress"))
    return case.end(may_refuse=True)


def damaged_result(case: Case) -> None:
    """A file of a finished run is damaged: verify tells, and nothing passes for that run but itself."""
    case.end()
    said = damage(case.workdir, case.rng)
    case.story.append(f"damage: {said}")
    log = case.folder / "verify"
    cache = (case.world.root / "compiled", False)
    command = ["verify", str(case.workdir)]
    process = chaos_process.start(command, log, case.folder, devices=1, cache=cache)
    chaos_process.wait([process])
    case.tried += 1
    lines = process.printed.splitlines()
    told = process.code == 1 and lines and all(line.startswith("differs: ") for line in lines)
    refused = process.code == 2 and len(process.said) == 1 and process.said[0].startswith("error: ")
    if not told and not refused:
        case.find(f"verify of a damaged run: {process.code} {lines} {process.said}")
    case.old = None
    case.end_damaged()


def several(case: Case) -> None:
    """Troubles of many kinds in a row."""
    refusable = False
    for _ in range(case.rng.randint(3, 5)):
        which = case.rng.randrange(6)
        if which == 4:
            case.edit(case.rng.choice([e for e in edits(case.folder) if e.__name__ != "cut"]))
            refusable = True
        elif which == 5:
            before = case.right()
            process = case.start(trouble=case.editing(case.rng.choice(edits(case.folder))))
            chaos_process.wait([process])
            case.judge([process], [before, case.right()])
            refusable = True
        else:
            makers = (case.signal, case.signal, lambda: _memory(case), lambda: _file_size(case))
            _under(case, makers[which]())
    case.end(may_refuse=refusable)


# How often each is drawn.
KINDS: dict[str, tuple[Kind, int]] = {
    "signals": (signals, 4),
    "memory": (memory, 2),
    "file size": (file_sizes, 2),
    "full disk": (full_disk, 2),
    "edit between": (edit_between, 4),
    "edit during": (edit_during, 5),
    "two processes": (two_processes, 3),
    "two starts": (two_starts, 3),
    "another config": (another_config, 3),
    "damaged progress": (damaged_progress, 3),
    "damaged result": (damaged_result, 2),
    "several": (several, 3),
}
