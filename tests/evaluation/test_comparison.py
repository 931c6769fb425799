"""Comparisons of two and more runs: names, rows, notes, tables, charts, and what is refused."""

import dataclasses
import re

import evaluated
import numpy as np
import pandas
import pytest
from evaluated import (
    LABELS,
    A,
    B,
    evaluation,
    made_scores,
    of_perplexity,
    right,
    scored,
)
from svg import told

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.evaluation.comparison import compare_evaluations
from jaxprune.report.charts.page_svg import page_svg

C = {"en": made_scores(6, 0.5), "fr": A["fr"], "sw": made_scores(7, 1.0)}


def run(name, scores, **parts):
    """A run on XNLI."""
    xnli = {code: scored(one, LABELS) for code, one in scores.items()}
    return evaluation(name, xnli=xnli, **parts)


@pytest.fixture
def runs():
    return [run("a", A), run("b", B)]


# Several runs.


def test_each_run_changes_against_the_first(runs):
    three = [*runs, run("c", C)]
    found = compare_evaluations(three)
    assert found.names == ["a", "b", "c"]
    for one in three[1:]:
        alone = compare_evaluations([three[0], one])
        assert [row for row in found.changes if row.run == one.name] == alone.changes
    assert compare_evaluations(three, seed=1).changes != found.changes


def test_runs_of_one_name_have_distinct_names(runs):
    found = compare_evaluations([runs[0]] * 3)
    assert found.names == ["a", "a (2)", "a (3)"]
    assert {row.run for row in found.measurements} == {*found.names}
    assert {(row.run, row.base) for row in found.changes} == {("a (2)", "a"), ("a (3)", "a")}


def test_what_one_run_lacks_is_left_out_and_told(runs):
    a = run("a", A | {"th": A["fr"]}, perplexity={"en": of_perplexity(9.0)})
    b = run("b", B | {"vi": B["fr"]}, marc2={"de": scored(A["fr"], LABELS)})
    found = compare_evaluations([a, b])
    assert {row.task for row in found.changes} == {"xnli"}
    assert found.changes == compare_evaluations(runs).changes
    assert found.left_out == [
        "only in a, not compared with b: xnli/th, perplexity/en",
        "only in b, not compared with a: xnli/vi, marc2/de",
    ]


@pytest.mark.parametrize(("parts", "few"), [(9, True), (10, False)])
def test_a_text_of_few_parts_has_no_verdict(parts, few):
    texts = [
        evaluated.text(total, parts=[(total / 10 - i % 3, 100, 0) for i in range(parts)])
        for total in (-3000.0, -3300.0)
    ]
    found = compare_evaluations(
        [evaluation(name, perplexity={"fr": one}) for name, one in zip("ab", texts, strict=True)]
    )
    change = found.changes[0]
    assert (change.measure, change.parts) == ("perplexity", parts)
    assert change.low > 0  # so the interval alone would say worse
    table = found.tables[0]
    said = "too little text: cannot tell" if few else "worse"
    assert table.rows[0][-1] == said
    assert table.rows[0][4].kind == ("few" if few else "worse")
    assert told(page_svg(found.plot()))[-1].endswith(f", {said}")


# What is shown.


def test_the_table_has_a_row_for_each_measure_and_columns_for_each_run(runs, tmp_path):
    found = compare_evaluations([*runs, run("c", C)])
    table = found.table
    assert table.index.names == ["task", "measure", "language"]
    assert [code for *_, code in table.index[:5]] == ["en", "fr", "sw", "mean", "mean non-en"]
    fields = ["value", "difference", "low", "high", "p", "p_holm"]
    expected = [("a", "value"), *((name, field) for name in "bc" for field in fields)]
    assert list(table) == expected
    for row in found.changes:
        cells = table.loc[row.task, row.measure, row.language]
        got = [cells["a", "value"], *(cells[row.run, field] for field in fields)]
        np.testing.assert_array_equal(
            got, np.float64([row.base_value, *(getattr(row, field) for field in fields)])
        )
    table.to_csv(tmp_path / "table.csv")
    again = pandas.read_csv(tmp_path / "table.csv", header=[0, 1], index_col=[0, 1, 2])
    np.testing.assert_array_equal(again.to_numpy(), table.to_numpy())
    assert r"\begin{tabular}" in found.table.to_latex()


def test_an_evaluation_has_a_row_for_each_language(runs):
    one = run("a", A, perplexity={"sw": of_perplexity(12.5), "en": of_perplexity(3.0)})
    table = one.table
    assert list(table.index) == [
        *(("xnli", code) for code in A), ("perplexity", "sw"), ("perplexity", "en")
    ]  # fmt: skip
    assert list(table)[:2] == ["accuracy", "f1"]
    for code, scores in A.items():
        assert table.loc["xnli", code].accuracy == right(scores).mean()
    assert table.loc["perplexity", "sw"].perplexity == pytest.approx(12.5)
    assert np.isnan(table.loc["perplexity", "sw"].accuracy)


# Refusals.


def refused(runs, message):
    with pytest.raises(InputError, match=message):
        compare_evaluations(runs)


def test_runs_without_a_common_evaluation_are_refused(runs):
    refused(runs[:1], "compare: one run; expected two or more")
    refused([runs[0], jp.Evaluation(name="b", parts={})], "b: not evaluated; expected <task>/e")
    other = evaluation("b", marc2={"fr": scored(A["fr"], LABELS)})
    has = "a has xnli/en xnli/fr xnli/sw; b has marc2/fr"
    refused([runs[0], other], f"no task and language in both runs: {has}")


@pytest.mark.parametrize(
    ("name", "values"), [("protocol", ["paper", "lm_eval"]), ("labels", [["yes", "no"], ["no", "yes"]])]
)  # fmt: skip
def test_other_protocols_and_labels_are_refused(name, values, runs):
    told = []
    for one, value in zip(runs, values, strict=True):
        part = one.parts["xnli"]
        part = dataclasses.replace(part, facts={**part.facts, name: value})
        told.append(dataclasses.replace(one, parts={"xnli": part}))
    a, b = (re.escape(repr(value)) for value in values)
    refused(told, f"^xnli: {name} {a} in a and {b} in b; expected the same in both$")
