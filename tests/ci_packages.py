"""Packages and programs of the extra `ci`, without which some tests are skipped."""

import importlib.util
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest


def program_path(name):
    """The path of a program that a package of the extra installs."""
    return Path(sysconfig.get_path("scripts"), name)


def shellcheck_says(script, *flags):
    """What shellcheck finds wrong with a script: nothing with a clean one."""
    done = subprocess.run(
        [program_path("shellcheck"), *flags, script], capture_output=True, text=True
    )
    return done.stdout + done.stderr or ("" if done.returncode == 0 else "failed")


def needs(*names):
    """Skips the test or the file that calls it where packages or programs are missing; in CI that is an error."""
    missing = [
        name
        for name in names
        if importlib.util.find_spec(name) is None and not program_path(name).exists()
    ]
    if missing:
        reason = f"without {', '.join(missing)}: pip install -e '.[ci]'"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason, allow_module_level=True)
