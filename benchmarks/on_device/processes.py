"""Steps → processes that do them; every step gets a result, whatever becomes of its process."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from on_device import ROOT
from on_device.job import Job

# A step that takes longer hangs, or is too much for this machine.
STEP_SECONDS = 180
POLL_SECONDS = 0.1
EXIT_SECONDS = 20
NOT_RUN = "not run"


class Runner:
    """Runs steps of a job until a point in time.

    Args:
      job: whose folder gets the results.
      logs: a folder for what processes print.
      deadline: of `time.monotonic`; steps that have not ended by then are stopped.
      tell: called with (key, result) as steps end.
      command: of a process, before the job's folder and the keys of its steps.
    """

    def __init__(self, job, logs, deadline, tell, command=("-m", "on_device.worker")):
        self.job: Job = job
        self.logs, self.deadline, self.tell = Path(logs), deadline, tell
        self.command = [sys.executable, *command]

    def run(self, keys):
        """Does the steps in one process; where it ends before its time, those that are left in another one."""
        left = list(keys)
        while left:
            if time.monotonic() > self.deadline:
                self._settle(left.pop(0), f"{NOT_RUN}: the time for the whole run was over")
                continue
            log = self.logs / f"{left[0]}.txt"
            with log.open("wb") as file:
                process = subprocess.Popen(
                    [*self.command, str(self.job.scratch), *left],
                    stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=_environment(self.job, left[0]),
                )  # fmt: skip
            try:
                left, stopped = self._follow(process, left)
                if not left:  # one that is killed may leave its device locked
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(EXIT_SECONDS)
            finally:
                process.kill()
                process.wait()
            if left:  # the first of them is what the process died of
                reason = stopped or _died_of(process.returncode, log)
                self._settle(left.pop(0), reason)

    def _follow(self, process, keys):
        """(steps without a result when the process ends, why it was stopped or None)."""
        left, since = list(keys), time.monotonic()
        while True:
            has_ended = process.poll() is not None
            while left and (result := self.job.result(left[0])) is not None:
                self.tell(left.pop(0), result)
                since = time.monotonic()
            if has_ended or not left:
                return left, None
            if time.monotonic() > self.deadline:
                return left, "stopped: the time for the whole run was over"
            if time.monotonic() > since + STEP_SECONDS:
                return left, f"stopped after {STEP_SECONDS} s"
            time.sleep(POLL_SECONDS)

    def _settle(self, key, reason):
        result = {"error": reason}
        self.job.result_file(key).write_text(json.dumps(result))
        self.tell(key, result)


def _died_of(code, log):
    """How a process ended, and the last line that it printed."""
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"the process ended with {how}: {lines[-1][:300] if lines else 'it printed nothing'}"


def _environment(job, key):
    """Of a process: this folder's modules, nothing from the network, and what was compiled before."""
    paths = [str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")]
    defaults = {
        "JAX_COMPILATION_CACHE_DIR": str(job.scratch / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    fixed = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1"}
    platform = {"JAX_PLATFORMS": "cpu"} if key.startswith("cpu.") else {}
    return defaults | dict(os.environ) | fixed | platform
