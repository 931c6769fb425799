"""Ready configs are files by names: in the package, where a clone has a link to those beside it."""

import os
from pathlib import Path

import pytest

from jaxprune.base.errors import InputError
from jaxprune.cli.ready import config_file, ready_configs

CONFIGS = Path(__file__).parents[2] / "configs"


def test_every_file_in_configs_has_its_name():
    names = {name: os.fspath(file) for name, file in ready_configs().items()}
    assert names == {
        str(file.relative_to(CONFIGS)).removesuffix(".py"): str(file)
        for file in CONFIGS.rglob("*.py")
    }
    assert {"nano", "bloom", "paper/mgpt"} <= set(names)


def test_an_argument_follows_the_file():
    assert config_file("paper/mgpt:x:y") == f"{CONFIGS / 'paper' / 'mgpt.py'}:x:y"


def test_files_are_taken_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").touch()
    (tmp_path / "nano").mkdir()  # as in a clone
    assert config_file("mine.py:a") == "mine.py:a"
    assert config_file(f"{tmp_path}/mine.py") == f"{tmp_path}/mine.py"
    assert config_file("nano") == str(CONFIGS / "nano.py")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            "blom:3b",
            r"--config: got 'blom'; expected FILE\.py, base:MODEL .* \(did you mean bloom\?\)",
        ),
        ("paper/mpgt", r"--config: got 'paper/mpgt'; .* \(did you mean paper/mgpt\?\)"),
        ("", "--config: got ''; expected FILE.py"),
        ("configs/nano.py", r"--config: no file 'configs/nano\.py' \(did you mean nano\?\)"),
        ("elsewhere.py", r"--config: no file 'elsewhere\.py'$"),
        ("config.json", r"--config: config\.json: not a Python file; expected FILE\.py, apertus"),
    ],
)
def test_refuses_what_is_neither_with_the_closest_name(given, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").touch()
    with pytest.raises(InputError, match=says):
        config_file(given)
