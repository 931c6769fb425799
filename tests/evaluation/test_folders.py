"""The folders of an evaluation: what is written is read, and what is no evaluation is refused or ignored."""

import json

import evaluated
import numpy as np
import pytest
from evaluated import LABELS, A, B, evaluation, of_perplexity, scored, written

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.workdir.json_files import content_digest
from jaxprune.evaluation.folders import open_evaluation


@pytest.fixture
def run(tmp_path):
    """A workdir without digests of its files, as a program may have written it."""
    xnli = {code: scored(one, LABELS) for code, one in B.items()}
    workdir = written(evaluation("b", xnli=xnli), tmp_path / "b")
    (workdir / "xnli" / manifest.TABLE).unlink()
    return workdir


def test_what_is_written_is_read_to_the_bit(tmp_path):
    rng = np.random.default_rng(0)
    groups = np.arange(300, dtype=np.int32) // 3
    rows = {
        "sw": scored(A["sw"], LABELS, rng.permutation(900)[:300], groups=groups),
        "en": scored(np.where(A["en"] < -2, -np.inf, A["en"]), LABELS),
    }
    texts = {
        "fr": evaluated.text(-1000 / 3, 77, [*rng.normal(size=(5, 3)) ** 2 * 99], 301),
        "de": of_perplexity(1e300),
    }
    lines = {"fr": evaluated.translated(["a\u2028b", ""], ["é", "c d"])}
    made = evaluation("made", xnli=rows, perplexity=texts, translation=lines)
    found = open_evaluation(written(made, tmp_path / "folder"))
    assert found.name == "made"
    assert found.parts.keys() == made.parts.keys()
    for name, part in made.parts.items():
        assert found.parts[name].measurements == part.measurements
        assert list(found.parts[name].rows) == list(part.rows)
        assert found.parts[name].facts == json.loads(json.dumps(part.facts))
    for made_rows, read_rows in ((rows, found.scored("xnli")), (texts, found.perplexities)):
        for code, one in made_rows.items():
            for ours, theirs in zip(one, read_rows[code], strict=True):
                np.testing.assert_array_equal(ours, theirs)
                assert np.asarray(ours).dtype == np.asarray(theirs).dtype
    read = found.parts["translation"].rows["fr"]
    assert [list(column) for column in read] == [list(column) for column in lines["fr"]]


def test_an_evaluation_under_two_names_has_that_of_its_folder(tmp_path):
    run = tmp_path / "folder"
    written(evaluation("one", xnli={"fr": scored(B["fr"], LABELS)}), run)
    written(evaluation("two", perplexity={"fr": of_perplexity(9.0)}), run)
    found = open_evaluation(run)
    assert {row.run for row in found.measurements} == {found.name} == {"folder"}


def test_files_of_other_programs_are_ignored(run):
    before = open_evaluation(run).measurements
    (run / "analysis").mkdir()
    np.savez(run / "analysis" / "fr.npz", magnitudes=np.ones(3))
    (run / "report.json").write_text("{}")
    (run / "progress").mkdir()
    (run / "progress" / "layer_00000.npz").write_bytes(b"not read")
    assert open_evaluation(run).measurements == before


def refused(folder, message):
    with pytest.raises(InputError, match=message):
        jp.compare(folder, folder)


def test_scores_that_are_no_numbers_are_refused(run):
    scores = np.float32(B["fr"])
    scores[5, 1] = np.nan
    np.savez(run / "xnli" / "fr.npz", scores=scores, labels=LABELS, rows=np.arange(10, 310))
    refused(run, r"xnli/fr.npz: row 15 has the score nan for option 1")


HEADER = "run,model,task,language,measure,value,low,high,n"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("fr.npz", "scores", r"damaged, or no .npz of plain arrays"),
        ("evaluation.json", "{", "not JSON"),
        ("evaluation.json", "[]", "expected a JSON object"),
        ("measurements.csv", "run,value\nb,0.5\n", "damaged"),
        (
            "measurements.csv",
            f"{HEADER}\nb,model,xnli,fr,accuracy,half,,,300",
            "damaged: Expected `float`, got `str`",
        ),
        (
            "measurements.csv",
            f"{HEADER}\n{'b' * 131_073}",
            "damaged: field larger than field limit",
        ),
    ],
)
def test_broken_files_are_refused(run, file, content, message):
    (run / "xnli" / file).write_text(content)
    refused(run, rf"xnli/{file}: {message}")


def test_a_broken_line_of_translations_is_refused(tmp_path):
    lines = {"fr": evaluated.translated(["a"], ["b"])}
    run = written(evaluation("b", translation=lines), tmp_path / "b")
    (run / "translation" / manifest.TABLE).unlink()
    (run / "translation" / "fr.jsonl").write_text("{")
    refused(run, "translation/fr.jsonl: not JSON")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    refused(tmp_path / "none", "none: no such folder; expected the --workdir of an evaluated run")


@pytest.mark.parametrize(
    ("config", "about"),
    [
        (
            {"pruning": {"criterion": "wanda", "sparsity": 0.5}},
            "wanda, 50% sparsity, monolingual, fr,sw",
        ),
        (
            {"pruning": {"criterion": "ria", "pattern": "2:4", "sparsity": 0.5}},
            "ria, 2:4, 50% sparsity, monolingual, fr,sw",
        ),
        (
            {"quantize": {"how": "gptq", "grid": "q4_0", "size": None}},
            "gptq, q4_0, monolingual, fr,sw",
        ),
        ({"recovery": {"how": "distil"}}, "recovered by distil, monolingual, fr,sw"),
    ],
)
def test_a_comparison_says_how_its_runs_were_made(config, about, run, tmp_path):
    dense = written(
        evaluation("a", xnli={c: scored(x, LABELS) for c, x in A.items()}), tmp_path / "a"
    )
    calibration = {"kind": "monolingual", "source": "fr,sw", "data": "texts"}
    (run / "config.json").write_text(json.dumps({**config, "calibration": calibration}))
    assert jp.compare(dense, run).notes == [f"b: {about}"]


def test_a_comparison_names_no_text_where_none_was_read(run, tmp_path):
    dense = written(
        evaluation("a", xnli={c: scored(x, LABELS) for c, x in A.items()}), tmp_path / "a"
    )
    config = {
        "pruning": {"criterion": "magnitude", "sparsity": 0.5},
        "calibration": {"source": "fr"},
    }
    (run / "config.json").write_text(json.dumps(config))
    report = {"tokens": {}, "files": {}}
    (run / "report.json").write_text(json.dumps({**report, "sha256": content_digest(report)}))
    assert jp.compare(dense, run).notes == ["b: magnitude, 50% sparsity"]
