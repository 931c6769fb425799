"""Evaluation end to end on a bundled model: what is written, what goes, what is refused."""

import json
import re
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from folder_contents import contents
from run_scripts import run_alone
from transformers import AutoModelForCausalLM

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.cli.config.validate import base_config, validate
from jaxprune.evaluation import evaluate
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.evaluation.measurements import read_evaluation, read_measurements
from jaxprune.evaluation.scoring import metrics
from jaxprune.evaluation.write import print_evaluation
from jaxprune.runs.evaluate import evaluate_from_config
from jaxprune.runs.pipeline import prune_from_config
from jaxprune.sweeps.run import sweep_from_config
from nano import corpus

TASKS = files("jaxprune").joinpath("evaluation", "tasks")
NANO = files("jaxprune").joinpath("nano", "checkpoints")
ROWS = 12
NLI = {"premise": "a", "hypothesis": "b", "label": 0}


def job(model=NANO / "bloom", **fields):
    config = base_config()
    config.model = str(model)
    with config.ignore_type():
        config.evaluation.update({"tasks": "nano_nli", "rows": ROWS} | fields)
    return validate(config, "evaluate")


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


def test_scores_are_those_of_torch(run):
    scores = read(run[0] / "nano_nli")["fr"].scores
    model = AutoModelForCausalLM.from_pretrained(NANO / "bloom", dtype=torch.float32).eval()
    tokenizer = jp.load(NANO / "bloom").tokenizer
    for pair, got in list(zip(corpus.nli_rows("fr", "held_out", ROWS, 0), scores, strict=True))[:6]:
        for said, score in zip(("Yes", "Also", "No"), got, strict=True):
            text = f"{pair.premise} , right? {said} , {pair.hypothesis}"
            tokens = torch.tensor(tokenizer(text)["input_ids"])
            with torch.no_grad():  # labels: the mean over all tokens but the first
                loss = model(tokens[None], labels=tokens[None]).loss
            assert score == pytest.approx(-float(loss), abs=1e-4)


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


def test_the_table_has_every_figure(run, capsys):
    print_evaluation(run[1], run[0])
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    for task in ("nano_nli", "nano_reviews"):
        measured = {(row.language, row.measure): row for row in run[1].parts[task].measurements}
        accuracies = {code: measured[code, "accuracy"] for code in run[1].scored(task)}
        for code, one in accuracies.items():
            low, high = 100 * one.low, 100 * one.high
            cells = f"{code} {ROWS} {100 * one.value:.1f} [{low:.1f}, {high:.1f}]".split()
            assert any(row[:5] == cells for row in rows)
            shares = [
                row.value for (of, name), row in measured.items() if of == code and "chosen" in name
            ]
            expected = {"/".join(f"{100 * share:.0f}" for share in shares)}
            percents = ["f1", "accuracy_without_prior"] + ["discrimination"] * (task == "nano_nli")
            expected |= {f"{100 * measured[code, name].value:.1f}" for name in percents}
            expected.add(f"{100 * measured[code, 'probability'].value:.2f}")
            assert expected <= {cell for row in rows if row[:1] == [code] for cell in row}
        values = {code: 100 * one.value for code, one in accuracies.items()}
        worst = min(values, key=values.get)
        assert f"worst language {worst}, {values[worst]:.1f}" in out
        assert f"mean {np.mean([*values.values()]):.1f}, without English" in out
    assert "perplexity" in out.splitlines()[-1]


def test_two_runs_compare_and_other_protocols_do_not(run, tmp_path):
    evaluate_from_config(job(languages="sw,en", weights="streamed"), tmp_path / "b")
    changes = jp.compare(run[0], tmp_path / "b").changes
    assert {
        row.language: row.difference for row in changes if row.measure == "accuracy"
    } == dict.fromkeys(("en", "sw", "mean", "mean non-en"), 0)
    np.testing.assert_allclose(
        read(tmp_path / "b" / "nano_nli")["sw"].scores, read(run[0] / "nano_nli")["sw"].scores,
        atol=1e-5,
    )  # fmt: skip
    other = job(languages="en", protocol="official")
    evaluate_from_config(other, tmp_path / "b", overwrite=True)
    with pytest.raises(InputError, match="protocol 'paper' in nano and 'official' in b"):
        jp.compare(run[0], tmp_path / "b")


def test_compat_official_is_the_authors_protocol(tmp_path):
    config = base_config()
    config.model = str(NANO / "bloom")
    config.compat = "official"
    config.evaluation.tasks = "nano_reviews"
    config.evaluation.rows = 5
    config.evaluation.languages = "en"
    found = evaluate_from_config(validate(config, "evaluate"), tmp_path)
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
    with pytest.raises(InputError, match=rf"^--workdir: .*{message} expected --overwrite"):
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
    evaluate_from_config(
        job(rows=3, languages="en", perplexity="nano", weights="streamed"), tmp_path
    )
    after = read(tmp_path / "nano_nli")
    assert contents(tmp_path).keys() == before.keys()
    evaluate_from_config(job(rows=2, languages="en"), tmp_path, overwrite=True)
    assert len(read(tmp_path / "nano_nli")["en"].labels) == 2 < len(after["en"].labels)


def test_another_model_than_that_of_a_run_is_not_evaluated_into_it(tmp_path):
    config = base_config()
    config.model, config.pruning.criterion = str(NANO / "bloom"), "magnitude"
    prune_from_config(validate(config), tmp_path)
    with pytest.raises(
        InputError, match=rf"the workdir of another model; expected {tmp_path}/hf as"
    ):
        evaluate_from_config(job(), tmp_path)
    with pytest.raises(
        InputError, match=rf"the workdir of a run; expected its model, {tmp_path}/hf"
    ):
        evaluate_from_config(job(tmp_path), tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/report.json").write_text("[]")  # of another program
    assert evaluate_from_config(job(rows=2), tmp_path / "elsewhere")
    config.sweep.grid = "pruning.criterion=magnitude|random"
    with pytest.raises(InputError, match="contains a run; choose another folder"):
        sweep_from_config(validate(config, "sweep"), tmp_path)
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(InputError, match="contains a sweep; expected another folder"):
        prune_from_config(validate(config), tmp_path)


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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tasks": ""}, "evaluation.tasks: none; expected tasks"),
        ({"tasks": "nano_nli,nano_nli"}, "evaluation.tasks: 'nano_nli' is there twice"),
        ({"tasks": "nano_nil"}, r"task: got 'nano_nil'; .*did you mean nano_nli"),
        ({"languages": "en,th"}, "nano_nli: no language 'th'; there are en fr es de sw"),
        ({"protocol": "lm_eval"}, "protocol: got 'lm_eval'; expected paper, official"),
        ({"tasks": "xnli", "data": "/no/such"}, "no folder '/no/such'"),
        ({"perplexity": "/no/such"}, "evaluation.perplexity: got '/no/such'; expected a folder"),
    ],
)
def test_bad_settings_are_refused_in_one_line(fields, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        evaluate_from_config(job(**fields), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("languages", "fr,fr"), ("languages", "f r"), ("languages", ""), ("protocol", "Paper"),
     ("rows", 0), ("weights", "half"), ("data", ""), ("perplexity", "")],
)  # fmt: skip
def test_fields_are_checked(field, value):
    with pytest.raises(InputError, match=f"evaluation.{field}: got .*; expected "):
        job(**{field: value})


def test_calibration_needs_to_make_sense_only_where_something_is_pruned():
    config = base_config()
    config.model = "m"
    config.calibration.source = config.calibration.target = "en"
    with pytest.raises(InputError, match=r"calibration\.target: got 'en', the source"):
        validate(config)
    validate(config, "evaluate")


def test_the_command_of_the_contract(tmp_path):
    done = run_alone(
        "evaluate", "--config", "configs/nano.py", "--workdir", tmp_path,
        f"--config.model={NANO / 'gpt2'}", "--config.evaluation.rows=2",
        "--config.evaluation.languages=sw,en",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(read(tmp_path / "nano_nli")) == ["en", "sw"]
    assert "nano_reviews, protocol paper" in done.stdout
    assert "2/2" in done.stderr  # languages, on the progress bar


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"languages": "en,fr"}, "one set for 2 languages of xnli; expected {lang} in it, or one"),
        ({"languages": None}, "one set for 15 languages of xnli"),
    ],
)
def test_rows_are_not_those_of_several_languages(fields, message, tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps(NLI) + "\n")
    config = job(tasks="xnli", data=str(tmp_path / "rows.jsonl"), **fields)
    with pytest.raises(InputError, match=re.escape(message)):
        evaluate_from_config(config, tmp_path / "run")


def test_sentences_and_translations_are_not_of_one_file(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps(NLI) + "\n")
    config = job(tasks="", translation=str(tmp_path / "rows.jsonl"))
    with pytest.raises(InputError, match=r"evaluation.translation: got .*; expected {lang} in it"):
        evaluate_from_config(config, tmp_path / "run")


@pytest.mark.parametrize("name", ["perplexity", "translation"])
def test_tasks_are_not_named_as_other_outputs(name, tmp_path):
    text = (TASKS / "nano_nli.toml").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(text.replace('name = "nano_nli"', f'name = "{name}"'))
    with pytest.raises(InputError, match=f"evaluation.tasks: '{name}' is there twice"):
        evaluate_from_config(job(tasks=str(tmp_path / "mine.toml")), tmp_path / "run")
