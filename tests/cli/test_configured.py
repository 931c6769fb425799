"""Flags and fields → a config and a workdir, and how a command ends that goes by one."""

import functools
from pathlib import Path
from types import SimpleNamespace

import pytest
from absl import flags
from run_scripts import run_here

from jaxprune.base.errors import InputError
from jaxprune.cli import configured
from jaxprune.cli.configured import parse
from jaxprune.stats.config import CalibrationFields

ROOT = Path(__file__).parents[2]


def read(*arguments, command="prune"):
    return parse([command, *map(str, arguments)], flags.FlagValues(), command)


XGLM = f"--config={ROOT / 'configs' / 'xglm.py'}"


def test_flags_are_read_into_a_validated_config(tmp_path):
    fields = (
        "--config.pruning.sparsity=0",
        "--config.calibration.shots",
        2,
        "--noconfig.output.hf",
    )
    config, workdir = read(f"{XGLM}:1.7B", f"--workdir={tmp_path / 'new'}", *fields)
    assert (config.model, workdir) == ("facebook/xglm-1.7B", str(tmp_path / "new"))
    assert (config.pruning.sparsity, config.calibration.shots, config.output.hf) == (0.0, 2, False)


def test_a_field_that_a_config_sets_is_unset_by_nothing(tmp_path):
    arguments = (f"--config={ROOT / 'configs' / 'sweep_nano.py'}", f"--workdir={tmp_path}")
    sweep = functools.partial(read, *arguments, command="sweep")
    assert sweep()[0].evaluation.rows == 1000
    unset = ("--config.evaluation.rows=", "--config.sweep.name=a", "--config.sweep.name=")
    config, _ = sweep(*unset)
    assert (config.evaluation.rows, config.sweep.name) == (None, None)
    config, _ = sweep(*unset, "--config.sweep.name=b", "--config.sweep.grid=seed=1|2")
    assert (config.sweep.name, config.sweep.grid) == ("b", {"seed": (1, 2)})
    for field in ("model", "sweep.grid"):
        with pytest.raises(InputError, match=f"^{field}: got ''"):
            sweep(f"--config.{field}=")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.pruning.sparsity=half", r"^pruning.sparsity: got 'half'; expected a number s"),
        ("--config.calibration.shots=1.5", r"^calibration.shots: got '1.5'; expected an integer"),
        ("--config.output.hf=maybe", "^output.hf: got 'maybe'; expected true or false"),
        ("--config.pruning.pattrn=2:4", "^pruning.pattrn: no such .*did you mean pruning.pattern"),
        ("--config.sparsity=0.5", r"^sparsity: no such field; did you mean pruning.sparsity\?"),
        ("--config.pruning={}", "^pruning: no such field; its fields are pruning.sparsity, "),
        ("--config.seed", "Missing value for flag --config.seed"),
        ("--sparsity=1", r"^--sparsity: no such .* did you mean --config.pruning.sparsity\?"),
        ("--pruning.drop=1", r"^--pruning.drop: .* did you mean --config.pruning.drop\?"),
        ("--config.calibration.source=de,french", r"^calibration.source: .*\(did you mean fr\?\)$"),
        ("--flagfile=/no/such", "Unable to open flagfile: .*'/no/such'"),
        ("--wrkdir=x", "Unknown command line flag 'wrkdir'. Did you mean: workdir"),
        ("x", "^x: not a flag; fields are set as"),
    ],
)
def test_flags_that_are_refused(tmp_path, argument, message):
    with pytest.raises(InputError, match=message):
        read(XGLM, f"--workdir={tmp_path}", argument)


@pytest.mark.parametrize(
    ("command", "argument", "readers"),
    [
        ("evaluate", "pruning.sparsity=0.9", "prune or sweep"),
        ("evaluate", "calibration.source=sw", "prune or quantize or recover or shrink or sweep"),
        ("analyze", "calibration.code=lib", "prune or quantize or recover or shrink or sweep"),
        ("recover", "pruning.sparsity=0.9", "prune or sweep"),
    ],
)
def test_a_field_that_a_command_does_not_read_is_refused(command, argument, readers, tmp_path):
    path = argument.partition("=")[0]
    arguments = ["x.py", XGLM, f"--workdir={tmp_path}", f"--config.{argument}"]
    if command == "recover":
        arguments.append("--config.recovery.run=runs/nano")
    with pytest.raises(InputError) as error:
        parse(arguments, flags.FlagValues(), command)
    assert str(error.value) == f"{path}: {command} does not read it; use it with {readers}"


def test_a_config_may_set_fields_that_a_command_does_not_read(tmp_path):
    arguments = ["x.py", "--config=bloom", f"--workdir={tmp_path}"]
    config, _ = parse(arguments, flags.FlagValues(), "evaluate")
    assert config.model == "bigscience/bloom-560m"
    assert not hasattr(config, "pruning")


def test_samples_beside_saved_statistics_are_refused(tmp_path):
    arguments = (f"--workdir={tmp_path}", "--config.pruning.propagate=dense")
    saved = f"--config.calibration.stats={tmp_path}"
    with pytest.raises(InputError, match=r"^calibration.source: not read with"):
        read("--config=xglm", *arguments, saved, "--config.calibration.source=fr")  # the default
    # of a ready config they are not recorded
    weights = ("--config.calibration.combine=weights", "--config.calibration.weights=fr:2,sw:1")
    config, _ = read("--config=bloom", *arguments, saved, *weights)
    changed = {"combine": "weights", "weights": (("fr", 2.0), ("sw", 1.0))}
    assert config.calibration == CalibrationFields(stats=str(tmp_path), **changed)


def test_a_config_may_not_set_samples_beside_its_own_saved_statistics(tmp_path):
    file = tmp_path / "both.py"
    file.write_text(
        "from jaxprune.config import base_config\n"
        "def get_config():\n"
        "    config = base_config()\n"
        "    config.model, config.pruning.propagate = 'nano', 'dense'\n"
        "    config.calibration.stats, config.calibration.source = 'run', 'de'\n"
        "    return config\n"
    )
    arguments = (f"--config={file}", f"--workdir={tmp_path / 'run'}")
    with pytest.raises(InputError, match=r"^calibration\.source: not read with calibration.stats"):
        read(*arguments)
    assert read(*arguments, "--config.calibration.source=fr")[0].calibration.stats == "run"


@pytest.mark.parametrize("name", ["processes", "process"])
def test_a_number_of_processes_that_do_not_meet_is_refused(name, monkeypatch):
    given = {"distributed": False, "coordinator": None, "processes": None, "process": None}
    monkeypatch.setattr(flags, "FLAGS", SimpleNamespace(**given | {name: 1}))
    with pytest.raises(InputError, match=f"^--{name}: set without --coordinator"):
        configured.join_processes()


def test_a_ready_config_goes_by_its_name(tmp_path):
    workdir = f"--workdir={tmp_path}"
    for arguments in (["--config", "xglm:2.9B"], ["--config=xglm:2.9B"], ["-config", "xglm:2.9B"]):
        assert read(*arguments, workdir)[0].model == "facebook/xglm-2.9B"


def test_config_file_and_workdir_that_are_refused(tmp_path):
    workdir = f"--workdir={tmp_path}"
    for arguments, message in (
        ([workdir], "--config: missing; expected a config file"),
        ([XGLM], "--workdir: missing"),
        (["--config=blom:3b", workdir], r"--config: got 'blom'; .*did you mean bloom\?"),
        ([f"{XGLM}:2.9b", workdir], r"^config argument: got '2.9b'; .*did you mean 2.9B\?"),
        ([XGLM, f"--workdir={__file__}"], "is a file; expected a folder"),
        ([XGLM, "--workdir=az://b/x"], "^--workdir: got 'az://b/x'; expected a folder, s3://"),
    ):
        with pytest.raises(InputError, match=message):
            read(*arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(:", "SyntaxError: invalid syntax"),
        ("x = 1", "KeyError: 'get_config'"),
        ("def get_config(): raise ValueError('a\\nb')", r"ValueError: a\\nb"),
        ("def get_config(): pass", "AttributeError: 'NoneType' object"),
    ],
)
def test_a_config_file_that_fails_is_named_with_its_error(text, message, tmp_path):
    file = tmp_path / "own.py"
    file.write_text(text)
    with pytest.raises(InputError, match=f"^--config: .*own\\.py: {message}"):
        read(f"--config={file}", f"--workdir={tmp_path}")


def test_debug_shows_the_traceback_above_the_line(tmp_path, monkeypatch, capfd):
    arguments = (XGLM, f"--workdir={tmp_path / 'new'}", "--config.dtype=half", "--debug")
    done = run_here(monkeypatch, capfd, "prune", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    traceback, line = done.stderr[:-1].rsplit("\n", 1)
    assert line == "error: dtype: got 'half'; expected float32, bfloat16"
    assert traceback.startswith("Traceback (most recent call last):")
    assert "in parse\n" in traceback


def test_a_bug_keeps_its_traceback(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(configured, "join_processes", lambda: {}["bug"])
    with pytest.raises(KeyError, match="bug"):
        run_here(monkeypatch, capfd, "prune", XGLM, f"--workdir={tmp_path / 'new'}")
