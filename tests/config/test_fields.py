"""The fields as people read them: the table of settings and --help say what the records say, of every field."""

from types import NoneType, UnionType
from typing import get_type_hints

import pytest
from run_scripts import run_alone, run_here

from jaxprune.calibration import KINDS
from jaxprune.config import FIELDS, Config, as_markdown, as_text
from jaxprune.evaluation.tasks import PROTOCOLS
from jaxprune.pruning import CRITERIA, PROPAGATIONS


def test_every_field_says_what_it_is_for():
    table = as_markdown().splitlines()
    assert len(table) == len(FIELDS) + 2
    for path, field in FIELDS.items():
        assert field.meaning, path
        assert field.passes(field.default) or field.default is None, path
        assert f"--config.{path}:" in as_text()
        if field.choices:
            assert all(map(field.passes, field.choices)), path
            assert not field.passes("no such choice"), path


def test_the_types_of_the_record_are_those_that_its_rules_allow():
    groups = {"": Config} | {
        name: type(one.default) for name, one in Config.__dataclass_fields__.items()
    }
    for path, field in FIELDS.items():
        group, _, name = path.rpartition(".")
        hint = get_type_hints(groups[group])[name]
        optional = field.default is None and not field.required
        kinds = hint.__args__ if isinstance(hint, UnionType) else (hint,)
        assert (NoneType in kinds) == optional, path
        assert field.required or isinstance(field.default, kinds), path
        assert not optional or field.kind in kinds, path


@pytest.mark.parametrize(
    ("field", "records"),
    [
        ("pruning.criterion", CRITERIA),
        ("pruning.propagate", PROPAGATIONS),
        ("calibration.kind", KINDS),
        ("evaluation.protocol", PROTOCOLS),
    ],
)
def test_choices_are_the_records(field, records):
    assert FIELDS[field].choices == tuple(records)
    [line] = [line for line in as_markdown().splitlines() if line.startswith(f"| `{field}` |")]
    assert all(f"`{name}`" in line for name in records)


def test_help_lists_flags_and_fields(monkeypatch, capfd):
    helped = {
        "prune": run_here(monkeypatch, capfd, "prune", "--help"),
        "sweep": run_alone("sweep", "--help"),
    }
    for script, done in helped.items():
        assert (done.returncode, done.stderr) == (0, "")
        assert f"python scripts/{script}.py --config" in done.stdout
        assert all(
            f"  --config.{path}: {field.allowed}" in done.stdout for path, field in FIELDS.items()
        )
    assert "  --overwrite: start afresh" in helped["prune"].stdout
    assert "--overwrite" not in helped["sweep"].stdout  # it has none
