"""Commands of the package as processes in trouble: forked from one that has imported all, which saves two seconds each.

Forking is sound as long as the process that forks has one thread and no backend of JAX; what needs one is forked too.
"""

import atexit
import contextlib
import dataclasses
import itertools
import json
import os
import re
import resource
import runpy
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import jax

ROOT = Path(__file__).parents[1]
BAR = re.compile(r".*\d+/\d+.*\|.*\|.*|.*\|.*\|.*<.*")
LIMIT = 60.0  # seconds of one process on a busy machine; undisturbed it takes one or two
AFTER_A_DEATH = 30.0  # seconds until the other of two has ended as well
_STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.scandir"}
_VIRTUAL = re.compile(r"VmSize:\s+(\d+) kB")


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What happens to a process, and when.

    Attributes:
      name: for the table and for findings.
      act: is called with the process's id; in the process itself where `step` is given, else in the one that waits.
      step: before which of its steps in the case's folder, counted from 1; these are files opened, renamed, removed.
      met: not before the processes of a command have met.
      second: of its life, where `step` is None.
      memory: bytes of addresses beyond what it has at its start; None: no limit.
      file_size: bytes of a file; None: no limit.
      sent: the signal that `act` sends, or None.
    """

    name: str = "none"
    act: Callable[[int], None] | None = None
    step: int | None = None
    met: bool = False
    second: float = 0.0
    memory: int | None = None
    file_size: int | None = None
    sent: signal.Signals | None = None


NONE = Trouble()


@dataclasses.dataclass
class Running:
    """A process that was started."""

    pid: int
    log: Path
    trouble: Trouble
    began: float
    acted: bool = False
    ended: float | None = None
    code: int = 0  # as subprocess has it: negative for a signal
    late: bool = False

    @property
    def said(self) -> list[str]:
        """Lines on stderr, without those of progress bars."""
        text = self.log.with_suffix(".err").read_text(errors="replace")
        lines = re.split(r"[\r\n]+", text)
        return [line for line in lines if line.strip() and not BAR.fullmatch(line)]

    @property
    def printed(self) -> str:
        return self.log.with_suffix(".out").read_text(errors="replace")


def start(
    command: list[str],
    log: Path,
    folder: Path,
    *,
    devices: int,
    cache: tuple[Path, bool],
    trouble: Trouble = NONE,
) -> Running:
    """Starts `scripts/<command[0]>.py` with arguments.

    Args:
      log: without suffix; stdout and stderr go there, and how many steps there were.
      folder: in which steps count.
      devices: of JAX.
      cache: of compiled functions, and whether it is written to.
    """
    began = time.monotonic()

    def job() -> int:
        _settle(log, devices, cache)
        _count_steps(folder, log.with_suffix(".steps"), trouble)
        _limit(trouble)
        return _script(command)

    return Running(fork(job), log, trouble, began)


def fork(job: Callable[[], int]) -> int:
    """A child that ends with what the job returns, without a step back into its parent's code."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = job()
        threading._shutdown()  # as at the end of any program: threads, then what was registered
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def call(job: Callable[[], object]) -> object:
    """What a job returns, as JSON has it, called in a child, which may use JAX."""
    receive, send = os.pipe()

    def told() -> int:
        os.close(receive)
        with open(send, "w") as pipe:
            json.dump(job(), pipe)
        return 0

    pid = fork(told)
    os.close(send)
    with open(receive) as pipe:
        text = pipe.read()
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
        raise RuntimeError("a check failed, see above")
    return json.loads(text)


def wait(running: list[Running], seconds: float = float("inf")) -> None:
    """Until all have ended, or so long; lets their trouble come, and kills what takes too long."""
    left = [process for process in running if process.ended is None]
    until = time.monotonic() + seconds
    while left and (now := time.monotonic()) < until:
        for process in left:
            _trouble(process, now)
            pid, status = os.waitpid(process.pid, os.WNOHANG)
            if pid:
                process.ended, process.code = now, os.waitstatus_to_exitcode(status)
        deaths = [process.ended for process in running if process.ended and process.code]
        left = [process for process in left if process.ended is None]
        for process in left:
            limit = min([process.began + LIMIT, *(death + AFTER_A_DEATH for death in deaths)])
            if now > limit:
                process.late = True
                os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.003)


def _trouble(process: Running, now: float) -> None:
    trouble = process.trouble
    due = trouble.step is None and now - process.began >= trouble.second
    if trouble.act is not None and due and not process.acted:
        process.acted = True
        trouble.act(process.pid)


def _settle(log: Path, devices: int, cache: tuple[Path, bool]) -> None:
    """What a process of its own would find: files for what it says, its devices, its working directory."""
    for number, suffix in enumerate((".out", ".err"), start=1):
        file = os.open(log.with_suffix(suffix), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    os.environ["JAX_NUM_CPU_DEVICES"] = str(devices)
    jax.config.update("jax_num_cpu_devices", devices)
    jax.config.update("jax_compilation_cache_dir", str(cache[0]))
    # half a file of a killed process would disturb others, so only those write that nothing happens to
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0 if cache[1] else 1e9)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    os.chdir(ROOT)


def _count_steps(folder: Path, told: Path, trouble: Trouble) -> None:
    numbers, inside = itertools.count(1), f"{folder}{os.sep}"
    left = [trouble] if trouble.step is not None else []

    def hook(event: str, arguments: tuple) -> None:
        if event not in _STEPS or not isinstance(arguments[0], str | os.PathLike):
            return
        if not os.fspath(arguments[0]).startswith(inside):
            return
        is_due = next(numbers) >= (trouble.step or 0)
        if left and is_due and (not trouble.met or jax.distributed.is_initialized()):
            act = left.pop().act
            assert act is not None
            act(os.getpid())

    sys.addaudithook(hook)
    atexit.register(lambda: told.write_text(str(next(numbers) - 1)))


def _limit(trouble: Trouble) -> None:
    if trouble.memory is not None:
        has = int(_VIRTUAL.findall(Path("/proc/self/status").read_text())[0]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (has + trouble.memory,) * 2)
    if trouble.file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (trouble.file_size,) * 2)


def _script(command: list[str]) -> int:
    path = str(ROOT / "scripts" / f"{command[0]}.py")
    sys.argv = [path, *command[1:]]
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as stopped:
        if isinstance(stopped.code, str):
            print(stopped.code, file=sys.stderr)
            return 1
        return stopped.code or 0
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return 0


def one_thread() -> None:
    """Refuses to fork from a process that has more threads, of whatever library."""
    with contextlib.suppress(FileNotFoundError):  # Linux only
        threads = os.listdir("/proc/self/task")
        assert len(threads) == 1, f"{len(threads)} threads"
