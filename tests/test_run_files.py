"""report.json and a table of files, each value of them replaced by others: refused in one line."""

import json
import re

import pytest
from run_json import REPORT, SHA, TABLE, at, paths_of, replaced, with_digest, write_report

from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.workdir.reading import ChangedReportError, read_config, read_report

WRONG = (None, "text", -1, [], {}, 10**400, True, ...)


def test_a_report_is_read_as_it_was_written(tmp_path):
    assert read_report(tmp_path) is None
    write_report(tmp_path / "report.json", REPORT)
    assert read_report(tmp_path) == with_digest(REPORT)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_report_in_which_a_value_is_another_is_refused(wrong, tmp_path):
    report, file = with_digest(REPORT), tmp_path / "report.json"
    for path in paths_of(report):
        changed = replaced(report, path, wrong)
        file.write_text(json.dumps(changed))
        with pytest.raises(InputError) as error:
            read_report(tmp_path)
        says = f"{file}: changed since it was written; expected the file that jaxprune wrote"
        assert wrong == 10**400 or isinstance(error.value, ChangedReportError)
        assert str(error.value).startswith((says, f"{file}: not JSON: ")), path


def test_another_programs_report_is_refused(tmp_path):
    (tmp_path / "report.json").write_text('{"made by": "another program"}')
    with pytest.raises(ChangedReportError):
        read_report(tmp_path)


def test_a_config_is_the_one_that_the_report_lists(tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"model": "a"}')
    report = {"files": {"config.json": [*manifest.file_facts(file)]}}
    assert read_config(tmp_path, report) == {"model": "a"}
    file.write_text('{"model": "b"}')
    with pytest.raises(InputError, match=r"config\.json: damaged, its bytes are not those"):
        read_config(tmp_path, report)
    assert read_config(tmp_path, {}) == {"model": "b"}


@pytest.mark.parametrize("wrong", [None, "text", -1, [], {}, 0.5, True, ...], ids=str)
def test_a_table_of_files_is_refused_by_its_place(wrong, tmp_path):
    file = tmp_path / "files.json"
    for path in paths_of(TABLE):
        if isinstance(at(TABLE, path), str) and wrong == "text":
            continue  # the digest of no file
        if isinstance(at(TABLE, path), int) and wrong == -1:
            continue  # the size of no file
        if wrong is ... and len(path) == 1:
            continue
        file.write_text(json.dumps(replaced(TABLE, path, wrong)))
        with pytest.raises(InputError) as error:
            manifest.table(tmp_path)
        place = r"\$\[\.\.\.\]"
        assert re.fullmatch(
            rf"{re.escape(str(file))}: Expected .* - at `{place}.*`", str(error.value)
        )


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/etc/passwd", "a/../b", "a\0b", "a/" * 1001, "é" * 128], ids=repr
)
def test_a_table_with_a_name_that_no_file_can_have_is_refused(name, tmp_path):
    (tmp_path / "files.json").write_text(json.dumps({name: [3, SHA]}))
    with pytest.raises(InputError, match=r"files\.json: broken, .* is no file of the folder$"):
        manifest.table(tmp_path)


def test_a_table_of_files_is_read_as_it_was_written(tmp_path):
    (tmp_path / "files.json").write_text(json.dumps(TABLE))
    assert manifest.table(tmp_path) == {"a.npz": (3, SHA), "b.npz": (4, SHA)}
