"""What a comparison prints and writes."""

import pandas
import pytest
from evaluated import (
    LABELS,
    A,
    B,
    evaluation,
    of_perplexity,
    scored,
    written,
)
from run_scripts import run_here

import jaxprune as jp
from jaxprune.evaluation.write import comparison_text, write_comparison


def run(name, scores, **parts):
    return evaluation(name, xnli={code: scored(s, LABELS) for code, s in scores.items()}, **parts)


@pytest.fixture
def workdirs(tmp_path):
    """Two evaluated runs."""
    texts = {"sw": of_perplexity(100.0)}, {"sw": of_perplexity(150.0)}
    sides = zip("ab", (A, B), texts, strict=True)
    return [written(run(n, s, perplexity=one), tmp_path / n) for n, s, one in sides]


def test_the_files_have_all_digits(workdirs, tmp_path):
    found, out = jp.compare(*workdirs), tmp_path / "deep" / "out"
    for _ in range(2):
        files = write_comparison(found, out)
    assert [file.name for file in files] == ["measurements.csv", "changes.csv"]
    assert {*files} == {*out.iterdir()}
    for file, records in zip(files, (found.measurements, found.changes), strict=True):
        written = pandas.read_csv(file, float_precision="round_trip", keep_default_na=False)
        expected = pandas.DataFrame(records, dtype=object).fillna("")
        assert written.astype(str).equals(expected.astype(str))


def test_the_command_prints_and_writes(workdirs, monkeypatch, capfd):
    done = run_here(monkeypatch, capfd, "compare", *workdirs)
    assert (done.returncode, done.stderr) == (0, "")
    found = jp.compare(*workdirs)
    assert done.stdout.startswith(comparison_text(found))
    assert (workdirs[1] / "compare" / "changes.csv").is_file()
    out = workdirs[0] / "here"
    again = run_here(monkeypatch, capfd, "compare", *workdirs, workdirs[1], "--out", out)
    assert again.returncode == 0
    assert {*pandas.read_csv(out / "changes.csv").run} == {"b", "b (2)"}
