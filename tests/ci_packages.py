"""Packages and programs of the extra `ci`, without which some tests are skipped."""

import importlib.util
import os
import sysconfig
from pathlib import Path

import pytest


def program_path(name):
    """The path of a program that a package of the extra installs."""
    return Path(sysconfig.get_path("scripts"), name)


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
