"""Translation: prompts and data, hypotheses of a bundled model, files."""

import json
from importlib.resources import files

import numpy as np
import pytest
from evaluated import evaluation_job

import jaxprune as jp
from jaxprune.base.files import manifest
from jaxprune.evaluation.evaluate import translate_texts
from jaxprune.evaluation.folders import write_part
from jaxprune.evaluation.generation.generator import Generator
from jaxprune.evaluation.measurements import read_measurements
from jaxprune.evaluation.translation import bleu
from jaxprune.evaluation.translation.bleu import translation_scores
from jaxprune.evaluation.translation.results import TranslationProtocol
from jaxprune.evaluation.translation.sentences import (
    Pair,
    Sentences,
    languages,
    read_sentences,
    stop_tokens,
    translation_prompts,
)
from jaxprune.runs.evaluate import evaluate_from_config
from jaxprune.stats.config import CalibrationFields
from nano import corpus

NANO = files("jaxprune").joinpath("nano", "checkpoints")
WORDS = ["red", "blue", "old", "cat", "dog", "house", "tree", "stone", "sings", "eats", "runs"]


@pytest.fixture(scope="module")
def generator():
    return Generator(jp.load(NANO / "xglm"), progress=False)


def write(folder, name, lines):
    (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def sentences(count, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(6, 12))) + f" {i} ." for i in range(count)]


def read(data, source, rows=None, seed=0, demonstrations=None, **calibration):
    """Sentences of `data`, by default with demonstrations from there too."""
    fields = CalibrationFields(data=str(demonstrations or data), **calibration)
    return read_sentences(str(data), source, fields, rows=rows, seed=seed)


def test_prompts_are_demonstrations_with_an_open_end():
    pairs = [Pair("un chat", "a cat"), Pair("une vache", "a cow")]
    want = corpus.translation_prompt([tuple(pair) for pair in pairs], "fr", "en", "un chien")
    asked = [Pair("un chien", ""), Pair("x", "")]
    assert translation_prompts(Sentences("fr", "en", pairs, asked), "</s>") == [
        want,
        want.replace("un chien", "x"),
    ]
    assert translation_prompts(Sentences("fr", "en", [], asked[1:]), "|") == ["French: x|English:"]


def test_eos_and_all_tokens_with_a_line_break_stop():
    tokenizer = jp.load(NANO / "gpt2").tokenizer
    stop = stop_tokens(tokenizer)
    assert tokenizer.eos_token_id in stop
    breaks = {id for token, id in tokenizer.get_vocab().items() if "Ċ" in token}
    assert breaks
    assert set(stop) == breaks | {tokenizer.eos_token_id}


def test_what_an_evaluation_writes(generator, tmp_path):
    """Sentences of the world that the model was trained on, nearly all translated as they should be."""
    data = {code: read("nano", code, rows=16, shots=2) for code in ("de", "es")}
    sources, references = (list(lines) for lines in zip(*data["es"].pairs, strict=True))
    assert references == corpus.sentences("en", "held_out", 16)
    assert sources == corpus.sentences("es", "held_out", 16)
    (tmp_path / "translation").mkdir()
    write(tmp_path / "translation", "old.jsonl", ["{}"])
    manifest.seal(tmp_path / "translation")
    protocol = TranslationProtocol("en", shots=2, max_new_tokens=40)
    facts = {"run": "translated", "model": "nano"}
    part = translate_texts(generator, data, protocol, facts)
    write_part(tmp_path, "translation", part)
    folder = tmp_path / "translation"
    assert sorted(p.name for p in folder.iterdir()) == [
        "de.jsonl", "es.jsonl", "evaluation.json", "files.json", "measurements.csv",
    ]  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["translation"]
    written = json.loads((folder / "evaluation.json").read_text())
    assert written["protocol"] == {
        "target": "en", "shots": 2, "max_new_tokens": 40,
        "stop": "eos or a line break",
    }  # fmt: skip
    assert (written["languages"], written["model"]) == (["de", "es"], "nano")
    found = {(row.language, row.measure): row for row in read_measurements(folder)}
    for code in ("de", "es"):
        rows = [json.loads(line) for line in (folder / f"{code}.jsonl").read_text().splitlines()]
        assert [(row["source"], row["reference"]) for row in rows] == data[code].pairs
        scores, signatures = translation_scores(
            [row["hypothesis"] for row in rows], [row["reference"] for row in rows]
        )
        assert scores["bleu"] > 95
        assert signatures == written["signatures"]
        for measure, score in scores.items():
            assert found[code, measure][:3] == ("translated", "nano", "translation")
            assert (found[code, measure].value, found[code, measure].n) == (score, 16)


def test_demonstrations_are_not_translated(tmp_path):
    french, english = [f"phrase {i}" for i in range(20)], sentences(20)
    write(tmp_path, "fr.txt", french)
    write(tmp_path, "en.txt", english)
    found = read(tmp_path, "fr", shots=3)
    assert len(found.demonstrations) == 3
    assert sorted(found.demonstrations + found.pairs) == sorted(zip(french, english, strict=True))
    assert read(tmp_path, "fr", shots=3, rows=5).pairs == found.pairs[:5]
    other = read(tmp_path, "fr", shots=3, seed=1)
    assert other.demonstrations != found.demonstrations
    assert languages(tmp_path) == ["fr"]
    assert languages("nano", "fr") == ["en", "es", "de", "sw"]
    assert len(languages("xnli")) == 14


def xnli(folder, code, rows):
    lines = [json.dumps({"premise": p, "hypothesis": h, "label": 0}) for p, h in rows]
    write(folder, f"{code}.jsonl", lines)


def test_premises_and_hypotheses_each_once(tmp_path):
    xnli(tmp_path, "sw", [("P1", "h1"), ("P1", "h2 "), ("P2", "h3")])
    xnli(tmp_path, "en", [("E1", "g1"), ("E1", "g2"), ("E2", "g3")])
    found = read(tmp_path, "sw", shots=1, demonstrations="nano")
    want = [("P1", "E1"), ("h1", "g1"), ("h2", "g2"), ("P2", "E2"), ("h3", "g3")]
    assert found.pairs == want
    assert languages(tmp_path) == ["sw"]
    with pytest.raises(jp.InputError, match=r"contains neither <language>\.txt nor dev/"):
        read(tmp_path, "sw")
    xnli(tmp_path, "en", [("E1", "g1")])
    with pytest.raises(jp.InputError, match="sw has 3 rows and en has 1; row i must have the same"):
        read(tmp_path, "sw", shots=1, demonstrations="nano")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "fr", "shots": 30}, "20 lines make 0 samples of 30 shots, not 1"),
        ({"source": "fr", "shots": 18, "rows": 3}, "rows: got 3; .* has 2 besides the demonstra"),
        ({"source": "fr", "shots": 20}, "no sentences besides the demonstrations"),
        ({"source": "de"}, "no language 'de'; there are en fr"),
    ],
)
def test_bad_requests_are_refused(arguments, message, tmp_path):
    for code in ("fr", "en"):
        write(tmp_path, f"{code}.txt", [f"{code} {i}" for i in range(20)])
    with pytest.raises(jp.InputError, match=message):
        read(tmp_path, **arguments)


def test_the_target_alone_is_no_language_to_translate(tmp_path):
    config = evaluation_job("nano", tasks="", languages="en", translation="nano")
    with pytest.raises(jp.InputError, match="languages: got 'en'; expected a language to"):
        evaluate_from_config(config, tmp_path / "run")


def test_a_tokenizer_that_is_not_installed_is_one_line(monkeypatch):
    def fail(trg_lang):
        raise RuntimeError(
            f"{trg_lang} requires extra dependencies.\n\n  pip install sacrebleu[ja]"
        )

    monkeypatch.setattr("sacrebleu.metrics.BLEU", fail)
    with pytest.raises(
        jp.InputError, match=r"^translation: ja requires .* pip install sacrebleu\[ja\]$"
    ):
        bleu.metrics_of("ja")
