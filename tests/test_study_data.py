"""The data and the sweeps of docs/study.md, on texts of the size of the real ones."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import study_scores

import jaxprune as jp
from jaxprune.cli.config.validate import validate
from jaxprune.search.sweeps.jobs import dense_jobs, jobs
from jaxprune.search.sweeps.run import sweep_from_config
from jaxprune.search.sweeps.variants import variants

ROOT = Path(__file__).parents[1]
MAKE = ROOT / "studies/study/make_data.py"
STUDY = runpy.run_path(str(ROOT / "configs/sweep_study.py"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    sources = tmp_path_factory.mktemp("sources")
    for name, lines in (("ntrex", 1997), ("flores_full", 1012), ("tico19", 2100)):
        (sources / name).mkdir()
        for code in ("en", "fr", "ru", "zh", "sw"):
            text = "".join(f"{code} {name} {line}\n" for line in range(lines))
            (sources / name / f"{code}.txt").write_text(text, encoding="utf-8")
    documents = "".join(f"d{line // 16}\n" for line in range(1997))
    (sources / "ntrex/index.tsv").write_text(f"document\n{documents}", encoding="utf-8")
    for name, codes in (("xnli_full", ("en", "fr", "ru", "zh", "sw")), ("sentiment", ("en", "sw"))):
        (sources / name).mkdir()
        for code in codes:
            text = "".join(
                f'{{"premise": "p{row // 3}", "hypothesis": "h{row}", "sentence": "s", "label": {row % 2}}}\n'
                for row in range(5010)
            )
            (sources / name / f"{code}.jsonl").write_text(text, encoding="utf-8")
    out = tmp_path_factory.mktemp("study") / "data"
    subprocess.run([sys.executable, MAKE, sources, out], check=True)
    return out


def test_premises_are_every_fifth_with_all_hypotheses(data):
    rows = [json.loads(line) for line in (data / "xnli/sw.jsonl").read_text().splitlines()]
    assert [row["hypothesis"] for row in rows[:4]] == ["h6", "h7", "h8", "h21"]
    assert len(rows) == 3 * 334


def test_texts_are_the_first_lines_of_both_in_runs_of_ten(data):
    lines = (data / "text/fr.txt").read_text().splitlines()
    documents = (data / "text/index.tsv").read_text().splitlines()[1:]
    assert len(lines) == len(documents) == 500
    assert (lines[249], lines[250]) == ("fr flores_full 249", "fr tico19 0")
    assert len({*documents}) == 50


MODELS = {"translation": 96, "languages": 24, "code": 18, "highest": 32, "sparsegpt": 16, "owl": 16}


@pytest.mark.parametrize(("part", "models"), MODELS.items())
def test_every_part_is_a_sweep_of_as_many_models_as_planned(part, models, data):
    config = validate(STUDY["get_config"](f"{part},nano/bloom,{data}"), "sweep")
    planned, dense = variants(config).made, dense_jobs(config)
    assert len(planned) == 1 + models
    for variant in planned[1:]:
        assert variant.config.calibration.samples == 96
        assert jobs(variant, dense, config.sweep.evaluate)["perplexity"]
        assert variant.name == "-".join([
            variant.config.calibration.kind, "+".join(variant.languages),
            str(variant.config.pruning.sparsity), f"draw{variant.config.calibration.draw[0]}",
        ])  # fmt: skip


def test_a_part_alone_has_the_default_model_and_data():
    config = STUDY["get_config"]("highest")
    assert (config.model, config.pruning.drop) == ("google/gemma-3-270m", "highest")
    assert config.calibration.data == "data/ntrex"


def test_collected_scores_give_the_figures_of_the_sweep(data, tmp_path, monkeypatch):
    config = STUDY["get_config"](f"languages,nano/bloom,{data}")
    config.update_from_flattened_dict({
        "sweep.grid": "calibration.source=fr|sw pruning.sparsity=0.5 calibration.draw=1/2|2/2",
        "calibration.kind": "monolingual",
        "calibration.samples": 2, "calibration.max_length": 64, "output.hf": True,
        "evaluation.languages": "fr,sw", "evaluation.tasks": f"{data}/xnli.toml",
        "evaluation.rows": 12, "evaluation.perplexity_lines": "0-59",
        "evaluation.translation": f"{data}/text", "evaluation.translation_rows": 2,
    })  # fmt: skip
    sweep_from_config(validate(config, "sweep"), tmp_path / "languages")
    (tmp_path / "languages/monolingual-sw-0.5-draw2/perplexity/files.json").unlink()
    shutil.rmtree(tmp_path / "languages/monolingual-fr-0.5-draw1/hf")  # as recover.sh does
    monkeypatch.setattr(study_scores, "STUDY", tmp_path)
    monkeypatch.setattr(study_scores, "MODELS", tmp_path / "models.json")
    study_scores.collect(tmp_path)
    scores = study_scores.Scores(study_scores.read_arrays(tmp_path / "languages.npz"))
    rest = [f"monolingual-{code}-0.5-draw{draw}" for code in ("fr", "sw") for draw in (1, 2)]
    assert scores.models == ["dense", *rest[:3]], "one model is unfinished"
    for name in scores.models:
        run = tmp_path / "languages" / name
        made = {folder.name: study_scores.figures(run, folder.name) for folder in run.glob("*/")}
        for code in ("fr", "sw"):
            found = made["xnli"][code]
            assert scores.contrast(name, code).mean() == pytest.approx(found["contrast"])
            assert scores.discrimination(name, code).mean() == pytest.approx(
                found["discrimination"]
            )
            log_perplexity = scores.log_perplexity(name, code).mean()
            assert log_perplexity == pytest.approx(np.log(made["perplexity"][code]["perplexity"]))
            if code in made["translation"]:
                assert scores.chrf(name, code) == made["translation"][code]["chrf"]
    runs = [tmp_path / "languages" / name / "checkpoint" for name in rest[:2]]
    trees = [jp.masks.unpack(jp.checkpoint.restore_packed_masks(run)) for run in runs]
    iou = jp.masks.overlap(*trees).overall
    assert scores.shared[rest[0], rest[1]] == pytest.approx(2 * iou / (1 + iou))
    # a later session has another share of the models, and the dense one
    (tmp_path / "languages").rename(tmp_path / "languages-1")
    for name in rest[:2]:
        shutil.rmtree(tmp_path / "languages-1" / name)
    study_scores.collect(tmp_path)
    assert (
        study_scores.Scores(study_scores.read_arrays(tmp_path / "languages.npz")).models
        == scores.models
    )
    assert [*json.loads(study_scores.MODELS.read_text())["languages"]] == scores.models
