"""How the process of a script starts and ends. The processes here import no JAX but where it is the question."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jaxprune.base.ending import ending
from jaxprune.base.errors import InputError

ROOT = Path(__file__).parents[1]
PROGRAM = """
import os, signal, sys
from jaxprune.base.ending import errors_in_one_line
with errors_in_one_line():
    {start}
with errors_in_one_line():
    print("told")
    {work}
"""

IN_A_CALLBACK = (
    "import gc; left = [2]; "
    "gc.callbacks.append(lambda *_: left and signal.raise_signal(left.pop())); gc.collect()"
)


def ended(shell, start="pass", work="pass", **environment):
    """What a process does that runs PROGRAM as `$RUN` in a line of shell."""
    program = PROGRAM.format(start=start, work=work)
    run = {"PROGRAM": program, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    shell = shell.replace("$RUN", '"$PYTHON" -c "$PROGRAM"')
    return subprocess.run(
        ["bash", "-c", shell], env=os.environ | run | environment, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("shell", "program", "code", "line"),
    [
        ("$RUN", {"work": "assert 'jax' not in sys.modules"}, 0, ""),
        ("$RUN >/dev/full", {}, 1, "[Errno 28] No space left on device"),
        ("$RUN | true; exit ${PIPESTATUS[0]}", {"start": "import time; time.sleep(0.3)"}, 141, ""),
        ("$RUN", {"start": "signal.raise_signal(signal.SIGINT)"}, 130, "ended by SIGINT"),
        (
            "$RUN", {"work": f"\n    {IN_A_CALLBACK}\n    import time; time.sleep(9); print('missed')"},
            130, "ended by SIGINT",
        ),
        ("$RUN", {"work": "raise MemoryError"}, 1, "memory or threads: MemoryError"),
        (
            "$RUN", {"work": "\n    try: signal.raise_signal(2)\n    finally: signal.raise_signal(2)"},
            130, "ended by SIGINT",
        ),
        ("PYTHONIOENCODING=ascii $RUN", {"work": "print('\\u2013')"}, 0, ""),
    ],
)  # fmt: skip
def test_whatever_happens_is_one_line_and_an_exit_code(shell, program, code, line):
    done = ended(shell, **program)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == bool(line)
    assert done.stderr.startswith(f"error: {line}" if line else "")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("JAX_ENABLE_X64", "maybe", "error: JAX does not start: invalid truth value 'maybe'"),
        ("JAX_PLATFORMS", "nosuch", "error: JAX does not start: .*'nosuch'.*JAX_PLATFORMS=nosuch"),
    ],
)
def test_what_jax_is_told_wrong_is_one_line(variable, value, says):
    done = ended("$RUN", "import jax", "jax.devices()", **{variable: value})
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert re.match(says, line), line


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (InputError("two\nlines"), ("two\\nlines", 2)),
        (OSError(36, "File name too long", "x" * 5000), 1),
        (OSError(28, "No space left"), ("[Errno 28] No space left", 1)),
        (RuntimeError("can't start new thread"), ("memory or threads: can't start new thread", 1)),
        (
            KeyboardInterrupt(),
            ("ended by SIGINT; repeat the command to go on", 128 + signal.SIGINT),
        ),
        (RuntimeError("a bug"), None),
    ],
)
def test_an_error_ends_with_a_line_of_some_length(error, end):
    got = ending(error)
    assert (got if end is None or isinstance(end, tuple) else got[1]) == end
    assert got is None or len(got[0]) < 2000
