"""Scripts run as their users run them, or in this process: without a start of Python and its packages, which takes
more than most of what a script is asked for here. What depends on the start of a process is a process of its own.
"""

import os
import runpy
import subprocess
import sys
from pathlib import Path

from absl import app, flags

ROOT = Path(__file__).parents[1]


def command(script, arguments):
    return [str(ROOT / "scripts" / f"{script}.py"), *map(str, arguments)]


def run_alone(script, *arguments, **environment):
    """Runs a script in a process of its own, in the root of the repository."""
    return subprocess.run(
        [sys.executable, *command(script, arguments)], env=os.environ | environment, cwd=ROOT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def run_here(monkeypatch, capfd, script, *arguments):
    """Runs a script in this process; the same as `run_alone` gives, but for a bug, which is raised."""
    argv = command(script, arguments)
    capfd.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", argv)
        patch.setenv("JAX_NUM_CPU_DEVICES", "1")  # of this process JAX has its devices already
        patch.chdir(ROOT)
        code = exit_code(argv[0])
    return subprocess.CompletedProcess(argv, code, *capfd.readouterr())


def exit_code(path):
    """Of a script run here. The flags that it defines go again, for the next one defines them too."""
    app.define_help_flags()  # once a process, so not among those that go again
    known = {*flags.FLAGS}
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as stopped:
        return stopped.code or 0
    finally:
        for name in {*flags.FLAGS} - known:
            delattr(flags.FLAGS, name)
    return 0
