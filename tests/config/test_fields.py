"""The fields as people read them: the table of settings and --help say what the records say, of every field."""

from dataclasses import is_dataclass

from jobs import job
from run_scripts import run_here

from jaxprune.base.schema import fields_of
from jaxprune.cli.config.help import as_markdown, as_text
from jaxprune.cli.config.record import COMMANDS, FIELDS
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs.evaluate import evaluate_from_config


def test_every_field_says_what_it_is_for():
    table = as_markdown().splitlines()
    assert len(table) == len(FIELDS) + 2
    for path, field in FIELDS.items():
        assert field.meaning, path
        assert field.passes(field.default) or field.default is None, path
        assert f"--config.{path}:" in as_text(FIELDS, {})
        if field.choices:
            assert all(map(field.passes, field.choices)), path
            assert not field.passes("no such choice"), path


def test_help_lists_flags_and_fields(monkeypatch, capfd):
    helped = {name: run_here(monkeypatch, capfd, name, "--help") for name in ("prune", "sweep")}
    for script, done in helped.items():
        assert (done.returncode, done.stderr) == (0, "")
        assert f"python scripts/{script}.py --config" in done.stdout
        for path, field in FIELDS.items():
            is_listed = f"  --config.{path}: {field.allowed}" in done.stdout
            assert is_listed == (path in fields_of(COMMANDS[script])), path
    assert "\nanalysis: " not in helped["sweep"].stdout
    assert "  --overwrite: start over" in helped["prune"].stdout
    assert "--overwrite" not in helped["sweep"].stdout  # it has none


def test_help_shows_what_the_config_and_the_arguments_set(monkeypatch, capfd):
    arguments = "--config=sweep_nano:bloom", "--config.dtype=bfloat16", "--help"
    done = run_here(monkeypatch, capfd, "sweep", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line.split(":")[0]: line for line in done.stdout.splitlines()}
    assert lines["  --config.dtype"].endswith("(default: float32) (set to bfloat16)")
    assert "'pruning.sparsity': [0.3, 0.5]})" in done.stdout
    assert lines["  --config.model"].endswith("/nano/checkpoints/bloom)")
    assert lines["  --config.output.hf"].endswith("(default: true) (set to false)")
    assert "set to" not in lines["  --config.seed"]


def test_evaluate_reads_the_fields_that_it_is_said_to_read(tmp_path, monkeypatch):
    """Notes each value of a config that an evaluation of everything takes."""
    asked = {"tasks": "nano_nli", "languages": "en,fr", "rows": 2, "translation_rows": 2}
    asked |= {"perplexity": "nano", "translation": "nano"}
    given = {f"evaluation.{name}": value for name, value in asked.items()}
    checked = job(CHECKPOINTS["bloom"], "evaluate", calibration__data="nano", **given)
    groups = {id(checked): ""} | {
        id(value): f"{name}." for name, value in vars(checked).items() if is_dataclass(value)
    }
    read = set()

    def noted(record, name):
        if id(record) in groups:
            read.add(groups[id(record)] + name)
        return object.__getattribute__(record, name)

    for record in (checked, *vars(checked).values()):
        if is_dataclass(record):
            monkeypatch.setattr(type(record), "__getattribute__", noted, raising=False)
    evaluate_from_config(checked, tmp_path)
    assert read & {*FIELDS} == {*fields_of(COMMANDS["evaluate"])}
