"""Programs that were compiled are kept: by whom, where, and that a broken store of them is only slower."""

import json
import os
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import pytest
from run_scripts import run_alone

from jaxprune.devices import compilation, compiling, keep_compiled

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
    monkeypatch.setattr(compilation.compilation_cache, "LRUCache", None)
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


@pytest.mark.parametrize("what", ["a file", "for all to write", "a lock that is held"])
def test_a_folder_that_cannot_be_used_is_not(updates, monkeypatch, tmp_path, what):
    folder = tmp_path / "jaxprune" / "compiled"
    folder.mkdir(parents=True)
    if what == "a file":
        folder.rmdir()
        folder.touch()
    elif what == "for all to write":
        folder.chmod(0o777)
    else:
        monkeypatch.setattr(compilation, "_PATIENCE", 0.05)
        with compilation.filelock.FileLock(folder / ".lockfile"):
            keep_compiled()
    if what != "a lock that is held":
        keep_compiled()
    assert not updates


def test_a_user_without_a_home_has_no_cache(updates, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    keep_compiled()
    assert not updates


def test_what_a_killed_process_left_half_written_goes(updates, tmp_path):
    folder = tmp_path / "jaxprune" / "compiled"
    folder.mkdir(parents=True, mode=0o700)
    for name in ("whole-cache", "whole-atime", "half-cache"):
        (folder / name).touch()
    keep_compiled()
    assert {file.name for file in folder.iterdir()} - {".lockfile"} == {
        "whole-cache",
        "whole-atime",
    }


def test_an_entry_that_is_damaged_or_of_another_program_goes(tmp_path):
    cache = compilation.CheckedCache(str(tmp_path), max_size=1 << 20)
    code = bytes(range(40))
    cache.put("a", code)
    file = tmp_path / "a-cache"
    whole = file.read_bytes()
    cut = [whole[:size] for size in (0, 1, 31, 32, len(whole) - 1)]
    flipped = [
        whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in range(len(whole))
    ]
    for damaged in (*cut, *flipped, whole + b"x", code):
        assert cache.get("a") == code
        file.write_bytes(damaged)
        assert cache.get("a") is None
        assert not file.exists()
        cache.put("a", code)
    file.rename(tmp_path / "b-cache")
    assert cache.get("b") is cache.get("c") is None


# As `zstandard` without a checksum; zlib has one of its own.
ZSTANDARD = """
class ZstdCompressor:
    def compress(self, data): return data
class ZstdDecompressor:
    def decompress(self, data): return data
"""
PROGRAM = """
import jax, jax.numpy as jnp
from jaxprune.devices import compiling, keep_compiled
keep_compiled()
x = jnp.arange(64.0)
with compiling() as counts:
    y = jax.jit(lambda x: jnp.sin(x) @ jnp.cos(x[:, None] * x))(x)
print(counts.programs, counts.kept, float(y.sum()))
"""


def test_damaged_code_is_not_loaded_where_nothing_else_checks_it(tmp_path):
    (tmp_path / "zstandard.py").write_text(ZSTANDARD)
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    path = os.pathsep.join(filter(None, (str(tmp_path), kept.get("PYTHONPATH"))))
    said = []
    for run in range(3):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False,
            env=kept | {"PYTHONPATH": path, "XDG_CACHE_HOME": str(tmp_path),
                        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "cache" not in done.stderr.lower()
        said.append(done.stdout)
        if run == 0:
            for program in (tmp_path / "jaxprune" / "compiled").glob("*-cache"):
                code = bytearray(program.read_bytes())
                code[len(code) // 2 :: 64] = bytes(len(code[len(code) // 2 :: 64]))
                program.write_bytes(code)
    first, damaged, after = said
    assert damaged == first
    assert after == first.replace(" 0 ", " 1 ", 1)


def test_counts_programs_and_seconds():
    with compiling() as counts:
        jax.jit(lambda x: jnp.sin(x) * 3.25)(jnp.ones(7)).block_until_ready()
    assert counts.programs >= 1
    assert counts.seconds > 0
    with compiling() as later:
        pass
    jax.jit(lambda x: jnp.cos(x) * 3.25)(jnp.ones(7))
    assert vars(later) == {"seconds": 0, "programs": 0, "kept": 0}


def test_the_second_run_compiles_nothing_and_has_the_same_bits(tmp_path):
    """Processes, with what users have: no variable of JAX's cache."""
    unset = {name: os.environ.pop(name) for name in OURS}
    try:
        reports = []
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
    finally:
        os.environ |= unset
    first, second = (report["compilation"] for report in reports)
    assert first["kept"] == 0
    assert second["kept"] == second["programs"] == first["programs"] == len(programs)
    assert reports[0]["digests"] == reports[1]["digests"]
