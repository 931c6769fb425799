"""What a comparison prints and writes."""

import numpy as np
import pandas
import pytest
from evaluated import (
    HYPOTHESES,
    LABELS,
    REFERENCES,
    A,
    B,
    changes,
    evaluation,
    of_perplexity,
    right,
    scored,
    translated,
    written,
)
from run_scripts import run_here

import jaxprune as jp
from jaxprune.base.text import WIDTH
from jaxprune.evaluation.comparison import compare_evaluations
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


def with_minus(text):
    return text.replace("-", "\N{MINUS SIGN}")


def test_the_table_shows_percent_and_points(workdirs):
    found = jp.compare(*workdirs)
    change, text = changes(found, "accuracy")["sw"], comparison_text(found)
    shown = next(line for line in text.splitlines() if line.startswith("sw "))
    low, high = (with_minus(f"{100 * bound:+.1f}") for bound in (change.low, change.high))
    values = [100 * right(scores["sw"]).mean() for scores in (A, B)]
    difference = with_minus(f"{values[1] - values[0]:+.1f}")
    cells = ["sw", "300", *(f"{value:.1f}" for value in values), difference]
    assert shown.split() == [*cells, f"[{low},", f"{high}]", "<0.001", "<0.001", "worse"]
    sentence = f"b against a: worse in xnli sw ({difference}); perplexity ×1.500."
    assert sentence in " ".join(text.split())
    behind = (100 * (right(s["en"]).mean() - right(s["sw"]).mean()) for s in (A, B))
    untested = ["sw", *(f"{value:.1f}" for value in behind)]
    assert untested in [line.split()[:3] for line in text.splitlines()]


def test_no_line_is_wider_than_a_terminal():
    labels = np.zeros(200, int)
    codes = ["en", "zho_Hans", "arb_Arab", *(f"l{i:02}_Latn" for i in range(30))]
    flat = {code: np.random.default_rng(i).random((200, 2)) for i, code in enumerate(codes)}
    sides = []
    # right by 0.1 at one time and 0.9 at the other
    for name, sign, said in (("dense", -1, HYPOTHESES["a"]), ("pruned", 1, HYPOTHESES["b"])):
        parts = {
            "xnli": {c: scored(s + sign * np.array([0, 0.55]), labels) for c, s in flat.items()},
            f"only_{name}": {"en": scored(flat["en"], labels)},
            "translation": {c: translated(lines, REFERENCES) for c, lines in said.items()},
            "perplexity": {c: of_perplexity(1234.5 * (2 + sign)) for c in codes},
        }
        sides.append(evaluation(name, **parts))
    lines = comparison_text(compare_evaluations(sides)).splitlines()
    assert max(map(len, lines)) <= WIDTH
    shown = next(line for line in lines if line.startswith("zho_Hans"))
    assert shown.count("\N{MINUS SIGN}") >= 3  # a loss of two digits and both ends of its interval


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
