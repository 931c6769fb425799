"""Programs that were compiled are kept: by whom, where, and that a broken store of them is only slower."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import pytest
from run_scripts import run_alone

import jaxprune as jp
from jaxprune.devices.compilation import keep_compiled

OURS = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")


def told(monkeypatch, *, folder=None, enabled=True):
    """What JAX was told by others."""
    values = {"jax_compilation_cache_dir": folder, "jax_enable_compilation_cache": enabled}
    monkeypatch.setattr(type(jax.config), "values", values)


@pytest.fixture
def updates(tmp_path, monkeypatch):
    """The settings of JAX that are made, in a process that none was made in; nothing is really set."""
    made = {}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in OURS:
        monkeypatch.delenv(name)
    monkeypatch.setattr(jax.config, "update", made.__setitem__)
    told(monkeypatch)
    with warnings.catch_warnings():
        yield made


def test_is_on_in_the_users_cache_and_bounded(updates, tmp_path):
    keep_compiled()
    folder = tmp_path / "jaxprune" / "compiled"
    assert updates["jax_compilation_cache_dir"] == str(folder)
    assert 0 < updates["jax_compilation_cache_max_size"] < 1e9
    assert folder.stat().st_mode & 0o777 == 0o700


def test_jaxs_own_variables_come_first(updates, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_MAX_SIZE", "5")
    keep_compiled()
    assert "jax_compilation_cache_max_size" not in updates
    assert "jax_compilation_cache_dir" in updates


@pytest.mark.parametrize("why", ["off", "a folder of JAX's", "no cache", "an old jaxlib"])
def test_is_off_where_it_is_told_or_would_be_loud(updates, monkeypatch, tmp_path, why):
    if why == "off":
        monkeypatch.setenv("JAXPRUNE_CACHE", "off")
    elif why == "an old jaxlib":
        monkeypatch.setattr("jaxlib.version.__version_info__", (0, 10, 1))
    elif why == "no cache":
        told(monkeypatch, enabled=False)
    else:
        told(monkeypatch, folder="/x")
    keep_compiled()
    assert not updates
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["a file", "for all to write"])
def test_a_folder_that_cannot_be_used_is_not(updates, tmp_path, what):
    folder = tmp_path / "jaxprune" / "compiled"
    folder.mkdir(parents=True)
    if what == "a file":
        folder.rmdir()
        folder.touch()
    else:
        folder.chmod(0o777)
    keep_compiled()
    assert not updates


def test_a_user_without_a_home_has_no_cache(updates, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    keep_compiled()
    assert not updates


def test_an_unknown_value_of_the_switch_is_refused(updates, monkeypatch):
    monkeypatch.setenv("JAXPRUNE_CACHE", "0")
    with pytest.raises(jp.InputError, match="JAXPRUNE_CACHE: got '0'; expected on, off"):
        keep_compiled()
    assert not updates


PROGRAM = """
import jax, jax.numpy as jnp
from compiling import compiling
from jaxprune.devices.compilation import keep_compiled
keep_compiled()
x = jnp.arange(64.0)
with compiling() as counts:
    y = jax.jit(lambda x: jnp.sin(x) @ jnp.cos(x[:, None] * x))(x)
print(counts.programs, counts.kept, float(y.sum()))
"""


@pytest.mark.parametrize("place", ["XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"])
def test_a_truncated_program_is_compiled_again_without_a_word(place, tmp_path):
    """As one is that another process is writing."""
    unset = {name: value for name, value in os.environ.items() if name not in OURS}
    given = {place: str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False,
            env=unset | given | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        said.append(done.stdout)
        programs = [*tmp_path.rglob("*-cache")]
        for program in programs:
            os.truncate(program, program.stat().st_size // 2)
    assert programs
    assert said[0] == said[1]


def test_the_second_run_compiles_nothing_and_has_the_same_bits(tmp_path):
    """Processes, with what users have: no variable of JAX's cache."""
    unset = {name: os.environ.pop(name) for name in OURS}
    try:
        reports, numbers = [], []
        for run in range(2):
            done = run_alone(
                "prune", "--config", "nano:bloom", "--workdir", tmp_path / str(run),
                "--config.calibration.samples=2", "--config.output.hf=false",
                XDG_CACHE_HOME=str(tmp_path / "cache"), JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert not [line for line in done.stderr.split("\n") if "cache" in line.lower()]
            reports.append(json.loads((tmp_path / str(run) / "report.json").read_text()))
            programs = sorted((tmp_path / "cache" / "jaxprune" / "compiled").glob("*-cache"))
            numbers.append(len(programs))
    finally:
        os.environ |= unset
    assert numbers[0] == numbers[1] > 0
    assert reports[0]["digests"] == reports[1]["digests"]
