"""`jaxprune COMMAND`: which commands there are, and that they are those of scripts/."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from run_scripts import run_here

import jaxprune as jp
from jaxprune.cli import main as command_line
from jaxprune.nano import CHECKPOINTS

ROOT = Path(__file__).parents[2]


def run(monkeypatch, capsys, *arguments):
    """The exit code of the console command, and what it printed."""
    monkeypatch.setattr(sys, "argv", ["/bin/jaxprune", *arguments])
    try:
        command_line.main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    return code, *capsys.readouterr()


def test_every_command_is_a_module_and_a_script():
    modules = {file.stem for file in (ROOT / "jaxprune/cli/commands").glob("[a-z]*.py")}
    scripts = {file.stem for file in (ROOT / "scripts").glob("*.py")}
    assert set(command_line.COMMANDS) == modules == scripts - {"train_nano"}
    for name in command_line.COMMANDS:
        text = (ROOT / "scripts" / f"{name}.py").read_text(encoding="utf-8")
        assert f"python scripts/{name}.py " in text


def test_help_and_version(monkeypatch, capsys):
    code, out, err = run(monkeypatch, capsys, "--help")
    assert (code, err) == (0, "")
    assert all(f"\n  {name} " in out for name in command_line.COMMANDS)
    assert "sweep_nano" in out
    assert run(monkeypatch, capsys, "help") == (0, out, "")
    assert run(monkeypatch, capsys, "help", "report") == run(monkeypatch, capsys, "report", "-h")
    assert run(monkeypatch, capsys, "--version") == (0, f"{jp.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "error: command: not set; expected pack, prune, quantize, recover, shrink, evaluate"),
        (["prne"], "(did you mean prune?)"),
        (["--config", "nano"], "error: command: got '--config'; expected pack, prune"),
        (
            ["compare", "runs/dense", "s3://a/run"],
            "--out: not set; expected a folder of this machine",
        ),
    ],
)
def test_other_words_are_refused_in_one_line(monkeypatch, capsys, arguments, says):
    code, out, err = run(monkeypatch, capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_every_command_has_help(name, monkeypatch, capfd):
    done = run_here(monkeypatch, capfd, name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"python scripts/{name}.py " in done.stdout


def test_help_of_a_command_is_for_who_types_it(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "compare", "--help")
    assert code == 0
    assert "usage: jaxprune compare BASE RUN" in out
    assert "\njaxprune compare runs/dense runs/pruned" in out
    monkeypatch.setattr(sys, "argv", ["scripts/compare.py", "--help"])
    with pytest.raises(SystemExit):
        command_line.run("compare", "python scripts/compare.py")
    out = capsys.readouterr().out
    assert "usage: compare.py BASE RUN" in out
    assert "\npython scripts/compare.py runs/dense runs/pruned" in out


def test_prunes_and_verifies_from_another_folder(tmp_path, monkeypatch, capsys):
    arguments = ("--config", "nano:bloom", "--workdir", "run", "--config.calibration.samples=2")
    pruned = subprocess.run(
        [sys.executable, "-m", "jaxprune", "prune", *arguments], cwd=tmp_path, text=True,
        check=False, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert pruned.returncode == 0, pruned.stderr
    assert CHECKPOINTS["bloom"] in pruned.stdout
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, capsys, "verify", "run", "--debug")[:2] == (0, "run: OK\n")
