"""What pip takes from a clone: the package with the ready configs; in an editable install a plain path."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clone(tmp_path):
    """A copy of what is built, in a folder of the package's name."""
    folder = tmp_path / "jaxprune"
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy2(ROOT / name, folder)
    unread = shutil.ignore_patterns("__pycache__", "checkpoints", "*.jsonl", "*.txt")
    for name in ("jaxprune", "configs"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=unread)
    return folder


def unpacked(clone, build, folder):
    """The content of the wheel that pip asks setuptools for."""
    folder.mkdir()
    program = f"from setuptools import build_meta; build_meta.{build}({str(folder)!r})"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=clone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_beside_a_clone_its_editable_install_is_imported(clone, tmp_path):
    """There the clone's folder is a namespace package of the same name, which precedes what a finder finds."""
    site = unpacked(clone, "build_editable", tmp_path / "site")
    program = (
        f"import site; site.addsitedir({str(site)!r})\n"
        "import importlib.util; print(importlib.util.find_spec('jaxprune').origin)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=clone.parent, env={},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(clone / "jaxprune" / "__init__.py")


def test_a_wheel_contains_the_ready_configs(clone, tmp_path):
    site = unpacked(clone, "build_wheel", tmp_path / "site")
    configs = ROOT / "configs"
    files = {str(file.relative_to(configs)): file.read_bytes() for file in configs.rglob("*.py")}
    there = site / "jaxprune" / "configs"
    assert files == {str(f.relative_to(there)): f.read_bytes() for f in there.rglob("*.py")}
