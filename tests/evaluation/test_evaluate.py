"""Evaluation end to end on a bundled model: what is written, what goes, what is refused."""

import json
import sys
from importlib.resources import files
from pathlib import Path

import jobs
import numpy as np
import pytest
from evaluated import evaluation_job
from folder_contents import contents
from run_scripts import run_here

from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.evaluation import evaluate
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.evaluation.measurements import read_evaluation, read_measurements
from jaxprune.evaluation.scoring import metrics
from jaxprune.pages.job import run_from_config
from jaxprune.runs.evaluate import evaluate_from_config
from jaxprune.search.sweeps.run import sweep_from_config
from nano import corpus

TASKS = files("jaxprune").joinpath("evaluation", "tasks")
NANO = files("jaxprune").joinpath("nano", "checkpoints")
ROWS = 12


def job(model=NANO / "bloom", **fields):
    return evaluation_job(model, **{"tasks": "nano_nli", "rows": ROWS} | fields)


def read(folder):
    """The scores in a folder by language."""
    return open_evaluation(folder.parent).scored(folder.name)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "deep" / "nano"
    config = job(tasks="nano_nli,nano_reviews", perplexity="nano")
    return workdir, evaluate_from_config(config, workdir)


def test_scores_of_every_language_and_their_measurements(run):
    workdir, found = run
    assert sorted(p.name for p in workdir.iterdir()) == ["nano_nli", "nano_reviews", "perplexity"]
    for task, options in (("nano_nli", 3), ("nano_reviews", 2)):
        scored = read(workdir / task)
        assert sorted(scored) == ["de", "en", "es", "fr", "sw"]
        for code, one in scored.items():
            assert (one.scores.dtype, one.scores.shape) == (np.float32, (ROWS, options))
            assert (one.labels.dtype, one.rows.dtype) == (np.int32, np.int32)
            np.testing.assert_array_equal(one.rows, np.arange(ROWS))
            if task == "nano_nli":  # each hypothesis has premises of all labels in succession
                np.testing.assert_array_equal(one.groups, one.rows // 3 * 3)
            else:
                assert one.groups is None
            make = corpus.nli_rows if task == "nano_nli" else corpus.review_rows
            assert one.labels.tolist() == [row.label for row in make(code, "held_out", ROWS, 0)]
        facts = read_evaluation(workdir / task)
        assert facts == json.loads(json.dumps(found.parts[task].facts))
        assert (facts["task"], facts["protocol"], len(facts["labels"])) == (task, "paper", options)
        keys = ["task", "protocol", "labels", "data", "parallel", "run", "model", "revision", "dtype", "seed",
                "model_sha256", "environment", "identity", "languages", "seconds"]  # fmt: skip
        assert list(facts) == keys
        measured = read_measurements(workdir / task)
        assert measured == found.parts[task].measurements
        source = (facts["run"], facts["model"], task)
        assert measured == metrics.task_measurements(source, scored)
        assert "rankc" in {row.measure for row in measured if row.language == "fr"}
    assert found.measurements == open_evaluation(workdir).measurements


def test_the_name_of_a_run_is_that_of_its_workdir_or_the_given_one(run, tmp_path):
    assert {row.run for row in run[1].measurements} == {run[1].name} == {"nano"}
    few = job(rows=2, languages="en", name="dense model")
    assert evaluate_from_config(few, tmp_path / "run").name == "dense model"
    assert open_evaluation(tmp_path / "run").name == "dense model"
    assert {row.run for row in read_measurements(tmp_path / "run/nano_nli")} == {"dense model"}


def test_perplexity_by_language(run):
    found = run[1].perplexities
    facts = read_evaluation(run[0] / "perplexity")
    assert (facts["data"], facts["languages"]) == ("nano", ["en", "fr", "es", "de", "sw"])
    assert list(found) == facts["languages"]
    for row in read_measurements(run[0] / "perplexity"):
        assert row.value == getattr(found[row.language], row.measure)
        assert row.n == found[row.language].tokens
    # held-out sentences of the world that the model was trained on, after their language's name
    assert all(1 < text.perplexity < 60 for text in found.values())


def test_compat_official_is_the_authors_protocol(tmp_path):
    asked = {"tasks": "nano_reviews", "rows": 5, "languages": "en"}
    given = {f"evaluation.{name}": value for name, value in asked.items()}
    config = jobs.job(NANO / "bloom", "evaluate", compat="official", **given)
    found = evaluate_from_config(config, tmp_path)
    assert found.parts["nano_reviews"].facts["protocol"] == "official"


XNLI = [
    {"premise": "le chat dort", "hypothesis": "le chat mange", "label": 2},
    {"premise": "le chien mange", "hypothesis": "le chat mange", "label": 1},
]


def write_rows(folder, *codes):
    folder.mkdir(exist_ok=True)
    for code in codes:
        text = "".join(json.dumps(row) + "\n" for row in XNLI)
        (folder / f"{code}.jsonl").write_text(text)
    return str(folder)


def test_other_data_is_asked_in_the_languages_that_it_has(tmp_path):
    data = write_rows(tmp_path / "rows", "sw", "en", "it")
    found = evaluate_from_config(job(tasks="xnli", data=data), tmp_path / "run").parts["xnli"]
    assert list(found.rows) == ["en", "sw"]  # in the task's order, and only its own
    assert found.facts["data"] == data
    other = job(tasks="xnli", data=data, languages="it")
    found = evaluate_from_config(other, tmp_path / "run", overwrite=True)
    assert list(found.scored("xnli")) == ["it"]
    assert sorted(read(tmp_path / "run" / "xnli")) == ["it"]  # the earlier evaluation is gone


def test_what_is_wrong_with_the_data_is_known_before_the_model_is_opened(tmp_path):
    data = write_rows(tmp_path / "rows", "en", "fr")
    (tmp_path / "rows" / "fr.jsonl").write_text('{"premise": ""}\n')
    config = job("/no/such/model", tasks="xnli", data=data)
    with pytest.raises(InputError, match=r"fr\.jsonl:1: no field 'label'"):
        evaluate_from_config(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_dies_leaves_nothing_that_looks_whole(tmp_path, monkeypatch):
    evaluate_from_config(job(rows=3, languages="en"), tmp_path)
    (tmp_path / "report.json").write_text("{}")
    scored = evaluate.question_scores

    def fails(scorer, rows, protocol, name):
        if " fr " in name:
            raise OSError("disk")
        return scored(scorer, rows, protocol, name)

    monkeypatch.setattr(evaluate, "question_scores", fails)
    with pytest.raises(OSError, match="disk"):
        evaluate_from_config(job(rows=3, languages="en,fr"), tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def template(tmp_path):
    """The task in other words."""
    asked = (Path(TASKS) / "nano_nli.toml").read_text()
    asked = asked.replace("right?", "yes?").replace("../../nano", str(Path(TASKS) / "../../nano"))
    (tmp_path / "nano_nli.toml").write_text(asked)
    return {"tasks": str(tmp_path / "nano_nli.toml")}


OTHERS = {
    "rows": ({"rows": 5}, r"nano_nli/evaluation\.json has the scores of another .*, with rows en 12, now 5;"),
    "languages": ({"languages": "en,sw"}, r"nano_nli.* with languages 'de,en,es,fr,sw', now 'en,sw';"),
    "protocol": ({"protocol": "official"}, r"nano_nli.* with protocol 'paper', now 'official';"),
    "template": (template, r"nano_nli.* with content en '[0-9a-f]{12}…', now '[0-9a-f]{12}…';"),
    "text": ({"tasks": "", "rows": 5, "perplexity": "nano"}, r"perplexity.* with content en '.{12}…', now '.{12}…';"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_another_evaluation_is_refused_and_says_what_differs(name, run, tmp_path):
    """Whatever is asked otherwise, before anything is scored."""
    fields, message = OTHERS[name]
    fields = fields(tmp_path) if callable(fields) else fields
    before = contents(run[0])
    with pytest.raises(InputError, match=rf"^--workdir: .*{message} add --overwrite"):
        evaluate_from_config(job(**fields), run[0])
    assert contents(run[0]) == before


def test_the_same_evaluation_is_made_again_and_stays_until_then(tmp_path, monkeypatch):
    same = job(rows=3, languages="en", perplexity="nano")
    evaluate_from_config(same, tmp_path)
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "question_scores", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            evaluate_from_config(same, tmp_path)
    assert contents(tmp_path) == before
    # in what form weights are held is no other question
    streamed = job(rows=3, languages="en", perplexity="nano", weights="streamed")
    evaluate_from_config(streamed, tmp_path)
    assert contents(tmp_path).keys() == before.keys()
    evaluate_from_config(job(rows=2, languages="en"), tmp_path, overwrite=True)
    assert len(read(tmp_path / "nano_nli")["en"].labels) == 2


def test_another_model_than_that_of_a_run_is_not_evaluated_into_it(tmp_path):
    config = jobs.job(NANO / "bloom", pruning__criterion="magnitude")
    run_from_config(config, tmp_path)
    with pytest.raises(InputError, match=rf"of another model; expected {tmp_path}/hf as"):
        evaluate_from_config(job(), tmp_path)
    with pytest.raises(InputError, match=rf"of a run; give its model, {tmp_path}/hf"):
        evaluate_from_config(job(tmp_path), tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/report.json").write_text("[]")  # of another program
    assert evaluate_from_config(job(rows=2), tmp_path / "elsewhere")
    sweep = jobs.job(NANO / "bloom", "sweep", sweep__grid="pruning.criterion=magnitude|random")
    with pytest.raises(InputError, match="contains a run; choose another folder"):
        sweep_from_config(sweep, tmp_path)
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(InputError, match="contains a sweep; expected another folder"):
        run_from_config(config, tmp_path)


def test_a_folder_with_other_files_is_not_replaced(tmp_path):
    (tmp_path / "nano_nli").mkdir()
    (tmp_path / "nano_nli" / "model.safetensors").touch()
    with pytest.raises(InputError, match=r"nano_nli/model.safetensors exists and"):
        evaluate_from_config(job(languages="en"), tmp_path)
    assert (tmp_path / "nano_nli" / "model.safetensors").exists()


def test_a_task_does_not_take_the_place_of_a_folder_without_scores(tmp_path):
    with manifest.whole_folder(tmp_path / "run" / "nano_nli") as folder:
        (folder / "model.safetensors").touch()
    with pytest.raises(InputError, match=r"nano_nli contains no scores, and would be replaced"):
        evaluate_from_config(job(languages="en"), tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "nano_nli" / "model.safetensors").exists()


def test_sacrebleu_is_missed_before_the_model_is_opened(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    config = job("/no/such/model", translation="nano")
    with pytest.raises(InputError, match="sacrebleu is not installed"):
        evaluate_from_config(config, tmp_path / "run")


def test_calibration_needs_to_make_sense_only_where_something_is_pruned():
    fields = {"calibration.source": "en", "calibration.target": "en"}
    with pytest.raises(InputError, match=r"calibration\.target: got 'en', the source"):
        jobs.job("m", **fields)
    jobs.job("m", "evaluate", **fields)


def test_the_command_of_the_contract(tmp_path, monkeypatch, capfd):
    fields = (f"model={NANO / 'bloom'}", "evaluation.rows=2", "evaluation.languages=sw,en")
    flags = [f"--config.{field}" for field in fields]
    done = run_here(
        monkeypatch, capfd, "evaluate", "--config", "configs/nano.py", "--workdir", tmp_path, *flags
    )
    assert done.returncode == 0, done.stderr
    assert sorted(read(tmp_path / "nano_nli")) == ["en", "sw"]
    assert "nano_reviews, protocol paper" in done.stdout
    assert "2/2" in done.stderr  # languages, on the progress bar


def test_one_file_is_not_of_several_languages(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(XNLI[0]) + "\n")
    for fields, message in (
        ({"tasks": "xnli", "data": str(file)}, "one set for 15 languages of xnli; expected {lang}"),
        (
            {"tasks": "", "translation": str(file)},
            "evaluation.translation: got .*; expected {lang}",
        ),
    ):
        with pytest.raises(InputError, match=message):
            evaluate_from_config(job(**fields), tmp_path / "run")


@pytest.mark.parametrize("name", ["perplexity", "translation"])
def test_tasks_are_not_named_as_other_outputs(name, tmp_path):
    text = (TASKS / "nano_nli.toml").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(text.replace('name = "nano_nli"', f'name = "{name}"'))
    with pytest.raises(InputError, match=f"evaluation.tasks: '{name}' is there twice"):
        evaluate_from_config(job(tasks=str(tmp_path / "mine.toml")), tmp_path / "run")
