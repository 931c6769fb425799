"""The files in cluster/: shell that is clean, and commands that are ours. cluster/slurm/try.sh runs them on a Slurm."""

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from jaxprune.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "cluster").rglob("*.*"))
PAGE = (ROOT / "docs/guide/cluster.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_clean(script):
    shellcheck = Path(sysconfig.get_path("scripts"), "shellcheck")  # of the test extra
    done = subprocess.run([shellcheck, script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "\nset -euo pipefail\n" in script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK)


def test_every_file_is_on_the_page_and_every_command_exists():
    for script in SCRIPTS:
        assert str(script.relative_to(ROOT)) in PAGE
    for text in (PAGE, *(script.read_text(encoding="utf-8") for script in SCRIPTS)):
        for command in re.findall(r"(?:jaxprune|run\.sbatch\"?) ([a-z]+)", text):
            assert command in COMMANDS
