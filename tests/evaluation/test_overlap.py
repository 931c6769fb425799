"""Lines that a model was calibrated on and evaluated on are named, in numbers that a plain search finds."""

import json

import jobs
import pytest

import jaxprune as jp
from jaxprune.data.texts import sentences
from jaxprune.evaluation.measurements import read_evaluation
from jaxprune.evaluation.overlap import calibration_overlap
from jaxprune.evaluation.scoring.perplexity import texts
from jaxprune.evaluation.write import print_evaluation
from jaxprune.nano import CHECKPOINTS
from jaxprune.pages.job import run_from_config
from jaxprune.pages.page import write_report
from jaxprune.runs.evaluate import evaluate_from_config
from jaxprune.steps.finished_run import pruned_model
from jaxprune.steps.samples import calibration_batches

NOTE = "The calibration set contains lines of the text that perplexity is measured on: "


def job(folder, model=None, **fields):
    given = {
        "calibration.data": str(folder / "text"), "calibration.source": "fr+sw",
        "calibration.shots": 3, "calibration.samples": 6, "evaluation.tasks": "",
        "evaluation.perplexity": str(folder / "text"),
    }  # fmt: skip
    return jobs.job(
        model or CHECKPOINTS["bloom"], "evaluate" if model else "prune", **given | fields
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A pruned run, and texts in three languages, some of whose lines it was calibrated on."""
    folder = tmp_path_factory.mktemp("overlap")
    (folder / "text").mkdir()
    for code in ("en", "fr", "sw"):
        lines = sentences("nano", code)[:60]
        (folder / "text" / f"{code}.txt").write_text("".join(f"{line} \n" for line in lines))
    run_from_config(job(folder), folder / "run")
    return folder


def calibrated(folder):
    """By language the lines of the text that are in the samples, in which a line ends with </s>."""
    model = jp.load(CHECKPOINTS["bloom"])
    batches = calibration_batches(job(folder), model)
    samples = "".join(model.tokenizer.decode(row) for batch in batches for row in batch.tokens)
    texts = {file.stem: file.read_text() for file in (folder / "text").iterdir()}
    lines = {code: {line.strip() for line in text.splitlines()} for code, text in texts.items()}
    return texts, {
        code: found
        for code in lines
        if (found := sum(f": {one}</s>" in samples for one in lines[code]))
    }


def overlap(workdir):
    return read_evaluation(workdir / "perplexity").get("calibration_overlap")


def test_the_overlap_is_named_in_output_facts_page_and_card(place, capsys):
    run, (_, expected) = place / "run", calibrated(place)
    assert expected.keys() == {"en", "fr", "sw"}
    assert 0 < expected["fr"] < 60
    evaluation = evaluate_from_config(job(place, model=str(run / "hf")), run)
    assert overlap(run) == expected
    note = NOTE + ", ".join(f"{expected[code]} ({code})" for code in evaluation.perplexities)
    print_evaluation(evaluation, run)
    assert note in " ".join(capsys.readouterr().out.split())
    write_report(run)
    for file in (run / "report.html", run / "hf" / "README.md"):
        assert note in file.read_text(encoding="utf-8")
    found = jp.evaluate(jp.load(run / "hf"), perplexity=place / "text", progress=False)
    assert found.parts["perplexity"].facts["calibration_overlap"] == expected
    other = {"evaluation.perplexity": "nano", "evaluation.rows": 20}
    evaluation = evaluate_from_config(job(place, model=str(run / "hf"), **other), place / "other")
    assert overlap(place / "other") is None
    print_evaluation(evaluation, place / "other")
    assert NOTE not in " ".join(capsys.readouterr().out.split())


def test_the_overlap_of_an_overlaid_model_in_lines_and_in_rows(place):
    plain, expected = calibrated(place)
    rows = place / "rows"  # the same lines, as rows
    rows.mkdir()
    for code, text in plain.items():
        lines = (json.dumps({"text": line}) for line in text.splitlines())
        (rows / f"{code}.jsonl").write_text("\n".join(lines))
    dense = jp.load(CHECKPOINTS["bloom"])
    pruned = pruned_model(dense, place / "run")
    for folder in (place / "text", rows):
        read = texts(str(folder), None, None)
        found = calibration_overlap(pruned, read, place / "run")
        assert found == {"calibration_overlap": expected}
        assert calibration_overlap(dense, read, place / "run") == {}
