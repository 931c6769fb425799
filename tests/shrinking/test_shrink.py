"""Smaller models end to end: torch's logits and continuations, files, workdirs, refusals."""

import json
import re
import shutil
import sys
import types
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest
import torch
import transformers
from conftest import TINY, random_torch
from folder_contents import flip_bit
from jobs import job
from recount import recount
from run_scripts import run_here
from small_tokenizers import KINDS, LINES, save

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.evaluation.measurements import read_evaluation, read_measurements
from jaxprune.pages.job import run_from_config
from jaxprune.pages.page import write_report
from jaxprune.runs.evaluate import evaluate_from_config
from jaxprune.shrinking.texts import texts_by_language

MODELS = {
    "xglm": "unigram",
    "bloom": "byte_level",
    "gpt2-unscaled-inner": "byte_level",
    "llama": "ignore_merges",
    "gemma3": "byte_fallback",
    "qwen2": "byte_level",
}
TEXTS = {"fr": [LINES[1], "les jardins."], "sw": LINES[3:4]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """name → a tiny model with a tokenizer, and with five rows that no token has."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            tokenizer = KINDS[MODELS[name]]()
            config = TINY[name]()
            config.vocab_size = tokenizer.get_vocab_size() + 5
            ids = {f"{token}_token_id": tokenizer.token_to_id(f"<{token}>") for token in ("pad",)}
            ids |= {"bos_token_id": tokenizer.token_to_id("<s>")}
            ids |= {"eos_token_id": tokenizer.token_to_id("</s>")}
            config.update(ids if name != "xglm" else ids | {"pad_token_id": 3})
            torch_model = random_torch(config)
            torch_model.generation_config.update(**ids, suppress_tokens=[ids["bos_token_id"], 300])
            torch_model.save_pretrained(made[name])
            save(tokenizer, made[name])
        return made[name]

    return of


def loaded(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def kept_ids(whole, small):
    """The old id of each token, by its name."""
    by_name = {i: name for name, i in small.get_vocab().items()}
    return [whole.get_vocab()[by_name[i]] for i in range(len(by_name))]


@pytest.mark.parametrize("name", MODELS)
def test_texts_that_are_joined_by_line_breaks_split_as_before(name, folder, tmp_path):
    """As in perplexity; the selection has only lines."""
    model = jp.load(folder(name))
    small, _ = jp.shrink(model, tmp_path / "small", texts=TEXTS, multiple=1, progress=False)
    kept = kept_ids(model.tokenizer, small.tokenizer)
    for between in ("\n", "\n\n"):
        joined = between.join(TEXTS["fr"])
        before, after = (one.tokenizer(joined).input_ids for one in (model, small))
        assert [kept[i] for i in after] == before
    assert "<table>" not in small.tokenizer.get_vocab()


def test_a_smaller_tokenizer_does_not_truncate_as_the_last_call_did(folder, tmp_path):
    model = jp.load(folder("bloom"))
    model.tokenizer(["one two three"], truncation=True, max_length=2, padding=True)
    jp.shrink(model, tmp_path / "small", texts=TEXTS, progress=False)
    rules = json.loads((tmp_path / "small" / "tokenizer.json").read_text())
    assert (rules["truncation"], rules["padding"]) == (None, None)


@pytest.mark.parametrize("name", MODELS)
def test_logits_and_continuations_are_those_of_the_dense_model(name, folder, tmp_path):
    shrunk = jp.shrink(
        jp.load(folder(name)), tmp_path / "small", texts=TEXTS, multiple=1, progress=False
    )
    (whole, tokenizer), (small, smaller) = loaded(folder(name)), loaded(tmp_path / "small")
    kept = kept_ids(tokenizer, smaller)
    assert len(kept) == small.config.vocab_size == shrunk.model.config.vocab_size
    assert len(kept) < tokenizer.vocab_size
    for text in (*TEXTS["fr"], *TEXTS["sw"]):
        before, after = (t(text, return_tensors="pt").input_ids for t in (tokenizer, smaller))
        assert [kept[i] for i in after[0]] == before[0].tolist()
        with torch.no_grad():
            want, got = whole(before).logits[0][:, kept], small(after).logits[0]
        assert want.abs().max() > 1
        np.testing.assert_allclose(got, want, atol=1e-5)
        dense, own = (
            model.generate(ids, max_new_tokens=6, do_sample=False, suppress_tokens=None)[0].tolist()
            for model, ids in ((whole, before), (small, after))
        )
        same = next((n for n, i in enumerate(dense) if i not in kept), len(dense))
        assert [kept[i] for i in own[:same]] == dense[:same]


def test_ids_are_new_wherever_they_are(folder, tmp_path):
    jp.shrink(jp.load(folder("llama")), tmp_path / "small", texts=TEXTS, progress=False)
    (_, tokenizer), (_, smaller) = loaded(folder("llama")), loaded(tmp_path / "small")
    for file in ("config.json", "generation_config.json"):
        before, after = (
            json.loads((path / file).read_text()) for path in (folder("llama"), tmp_path / "small")
        )
        for token in ("bos", "eos", "pad"):
            name = f"{token}_token_id"
            old, new = before[name], after[name]
            assert tokenizer.convert_ids_to_tokens(old) == smaller.convert_ids_to_tokens(new)
    # a suppressed token that is no longer there cannot be predicted
    assert after["suppress_tokens"] == [smaller.convert_tokens_to_ids("<s>")]
    assert "<unused0>" not in smaller.get_vocab()


@pytest.mark.parametrize(
    "refused", ["", "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"]
)
def test_chats_split_as_before(refused, folder, tmp_path):
    """Of roles and of the template's own words, which no text has; some templates refuse a system's turn."""
    shutil.copytree(folder("qwen2"), tmp_path / "whole")
    template = (
        refused
        + "{% for m in messages %}<|turn|>{{ m.role }} sleeps: {{ m.content }}\n{% endfor %}"
    )
    save(KINDS["byte_level"](), tmp_path / "whole", chat_template=template)
    model = jp.load(tmp_path / "whole")
    small, _ = jp.shrink(model, tmp_path / "small", texts={"fr": ["."]}, multiple=1, progress=False)
    kept = kept_ids(model.tokenizer, small.tokenizer)
    turns = [{"role": "user", "content": "."}, {"role": "assistant", "content": "."}]
    before, after = (
        one.tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"]
        for one in (model, small)
    )
    assert [kept[i] for i in after] == before
    words = [token for token in small.tokenizer.convert_ids_to_tokens(after) if token.isalpha()]
    assert max(map(len, words)) > 1  # longer than letters, which are kept in any case


@pytest.fixture
def texts(tmp_path):
    for name, lines in TEXTS.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "en.jsonl").write_text(json.dumps({"text": LINES[0], "label": 1}) + "\n")
    return str(tmp_path)


@pytest.mark.parametrize(("lines", "found"), [("", TEXTS["fr"]), (":0-0", TEXTS["fr"][:1])])
def test_texts_in_a_bucket(lines, found, texts, monkeypatch):
    place = "s3://bucket/texts"
    monkeypatch.setattr("jaxprune.shrinking.texts.local_path", {place: Path(texts)}.__getitem__)
    assert texts_by_language("shrink.vocabulary", [place + lines], ["fr"]) == {"fr": found}


def test_a_workdir_is_one_like_any_other(folder, texts, tmp_path, capsys):
    config = job(folder("gemma3"), shrink__vocabulary=texts, shrink__heldout=f"{texts}:0-0")
    report = run_from_config(config, tmp_path / "run")
    assert (
        report["shrunk"]["selection"].keys()
        == report["shrunk"]["heldout"].keys()
        == {"en", "fr", "sw"}
    )
    assert all(found["same"] == found["texts"] for found in report["shrunk"]["selection"].values())
    assert recount(tmp_path / "run") == []
    assert json.loads((tmp_path / "run/config.json").read_text())["compat"] == "corrected"
    card = (tmp_path / "run/hf/README.md").read_text()
    assert "100.0" in card
    assert str(tmp_path) not in card
    capsys.readouterr()
    again = run_from_config(config, tmp_path / "run")
    assert "is complete; --overwrite repeats the run" in capsys.readouterr().out
    assert again["files"] == report["files"]
    other = job(folder("gemma3"), shrink__vocabulary=texts, shrink__languages="fr")
    with pytest.raises(InputError, match="contains a complete run with calibration"):
        run_from_config(other, tmp_path / "run")
    flip_bit(tmp_path / "run/hf/model.safetensors")
    assert recount(tmp_path / "run") == [
        "hf: model.safetensors: damaged, its bytes are not those that were written"
    ]


def test_a_language_whose_file_is_empty_is_named_as_such(tmp_path):
    """Its file is there, so the message must not ask for it."""
    (tmp_path / "fr.txt").write_text(" \n\n")
    (tmp_path / "sw.txt").write_text("habari\n")
    with pytest.raises(InputError, match="--text: the files of 'fr' have no text; expected a line"):
        texts_by_language("--text", [str(tmp_path)], ["fr", "sw"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "shrink: nothing to shrink; set shrink.vocabulary, "),
        ({"shrink__vocabulary": "nowhere"}, "shrink.vocabulary: no folder 'nowhere'"),
        (
            {"shrink__languages": "ru"},
            "shrink.vocabulary: no texts of 'ru'; expected ru.txt or .jsonl beside those of en fr sw",
        ),
        (
            {"shrink__vocabulary": "{texts}:0-9"},
            "got '0-9'; .* has [12] lines; expected up to [01]",
        ),
        ({"shrink__heldout": "{texts}/none"}, "shrink.heldout: no folder"),
        (
            {"shrink__layers": 1, "shrink__tokens": 40},
            "shrink.tokens: got 40; expected only with shrink.vocabulary",
        ),
        (
            {"shrink__coverage": 0.5, "shrink__tokens": 40},
            "shrink.tokens: set with shrink.coverage; set one of them",
        ),
        (
            {"shrink__coverage": "en:0.9,fr:0.8"},
            "shrink.coverage: got 'en:0.9,fr:0.8'; expected one for each of en, fr, sw",
        ),
        ({"shrink__coverage": "en:0.9,fr:1.8"}, "shrink.coverage: .*; expected a number c with 0"),
    ],
)
def test_texts_that_are_not_there_are_refused(fields, message, folder, texts, tmp_path):
    given = {} if not fields or "shrink__layers" in fields else {"shrink__vocabulary": texts}
    given |= {n: v.format(texts=texts) if isinstance(v, str) else v for n, v in fields.items()}
    with pytest.raises(InputError, match=message):
        run_from_config(job(folder("xglm"), "shrink", **given), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_config_json_names_the_dtype_of_the_weights(tmp_path):
    model = jp.load("nano/bloom")
    halved = model.replace(jax.tree.map(lambda x: x.astype(ml_dtypes.bfloat16), model.params))
    small, _ = jp.shrink(halved, tmp_path / "small", texts={"fr": ["le chat"]}, progress=False)
    assert small.dtype == "bfloat16"
    assert transformers.AutoConfig.from_pretrained(tmp_path / "small").dtype == torch.bfloat16


def test_compared_with_the_dense_model_by_bits_per_byte(texts, tmp_path):
    """The bundled model and its smaller one, which reads the text as before."""
    runs = [tmp_path / "dense", tmp_path / "run"]
    lines = [line for code in ("en", "fr") for line in TEXTS.get(code, LINES[:1])] * 40
    (tmp_path / "fr.txt").write_text("\n".join(lines) + "\n")
    run_from_config(job("nano/bloom", shrink__vocabulary=texts, shrink__languages="fr"), runs[1])
    for run, model in zip(runs, ("nano/bloom", runs[1] / "hf"), strict=True):
        fields = {"perplexity": texts, "languages": "fr", "tasks": ""}
        given = {f"evaluation__{name}": value for name, value in fields.items()}
        config = job(model, "evaluate", **given)
        evaluate_from_config(config, run)
    found = jp.compare(*runs)
    overlap = read_evaluation(runs[1] / "perplexity")["calibration_overlap"]
    assert overlap == {"fr": len({*lines})}
    measured = [{row.measure: row for row in read_measurements(run / "perplexity")} for run in runs]
    changes = {row.measure: row for row in found.changes}
    a, b = (one["perplexity"] for one in measured)
    assert a.n == b.n  # the text splits as before
    assert b.value < a.value  # over fewer tokens
    np.testing.assert_allclose(changes["perplexity"].value, b.value, rtol=1e-6)
    assert changes["bits_per_byte"].value == measured[1]["bits_per_byte"].value
    assert any("tokenizers" in note and "differ" in note for note in found.notes)
    ratio = changes["perplexity"]
    assert ratio.low < ratio.difference < ratio.high
    write_report(runs[1], (), tmp_path / "alone.html")
    card = (runs[1] / "hf/README.md").read_text()
    assert "| language | tokens | perplexity | bits/byte |" in card
    write_report(runs[1], [runs[0]], tmp_path / "page.html")
    card = (runs[1] / "hf/README.md").read_text()
    assert "| language | n | dense | run | ratio | 95% interval |" in card
    assert "Not evaluated yet" not in card
    assert recount(runs[1]) == []


def test_frequent_words_are_kept_too(folder, texts, tmp_path, monkeypatch, capsys):
    """With a stand-in for wordfreq, whose lists are large."""
    lists = {"fr": ["sleep", "garden"]}
    words = types.SimpleNamespace(
        available_languages=lambda: lists, top_n_list=lambda code, count: lists[code][:count]
    )
    monkeypatch.setitem(sys.modules, "wordfreq", words)
    sizes = []
    for number in (None, 1, 2):
        fields = {"shrink__words": number} if number else {}
        config = job(folder("bloom"), shrink__vocabulary=texts, shrink__languages="fr,sw",
                     shrink__multiple=1, **fields)  # fmt: skip
        report = run_from_config(config, tmp_path / f"run{number}")
        sizes.append(report["shrunk"]["tokens"]["after"])
        small, whole = (
            jp.load(one).tokenizer for one in (tmp_path / f"run{number}/hf", folder("bloom"))
        )
        assert (small.tokenize(" sleep") == whole.tokenize(" sleep")) == bool(number)
    assert sizes[0] < sizes[1] < sizes[2]
    assert "wordfreq has no list for sw" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    with pytest.raises(InputError, match=r"shrink.words: needs wordfreq; run pip install wordfreq"):
        run_from_config(config, tmp_path / "other")


def test_all_cuts_in_one_run(texts, tmp_path, monkeypatch, capfd):
    """On a bundled model, measured on its calibration texts; the page has a picture for layers and one for neurons."""
    fields = {
        "shrink__vocabulary": "nano", "shrink__languages": "fr", "shrink__layers": 3, "shrink__mlp": 0.5,
        "calibration__data": "nano", "calibration__kind": "monolingual", "calibration__source": "fr,sw",
        "calibration__samples": 4,
    }  # fmt: skip
    found = run_from_config(job("nano/xglm", **fields), tmp_path / "run")["shrunk"]
    given = (f"--config.{path.replace('__', '.')}={value}" for path, value in fields.items())
    workdir = f"--workdir={tmp_path / 'run'}"
    done = run_here(monkeypatch, capfd, "shrink", "--config=base:nano/xglm", workdir, *given)
    assert "is complete" in done.stdout, done.stderr
    assert found["layers"] == {"before": 4, "after": 3}
    assert found["tokens"]["after"] < found["tokens"]["before"]
    assert found["depth"]["influence"].keys() == {"fr", "sw"}
    assert len(found["depth"]["influence"]["sw"]) == 4
    assert found["neurons"]["after"] == found["neurons"]["before"] / 2
    assert all(0.5 < share < 1 for share in found["width"]["shares"]["sw"])
    assert len(found["width"]["shares"]["fr"]) == len(found["width"]["damping"]) == 3
    assert recount(tmp_path / "run") == []
    write_report(tmp_path / "run", (), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Influence" in page
    assert "Kept neurons" in page
    assert "--config.calibration.source=fr,sw" in re.sub("<[^>]*>", "", page)
    assert "dropped layers, from 0" in page
    assert "Made by" in page


LINES_OF_TOKENS = {"shrink.layers": 2, "calibration.kind": "tokens", "calibration.lines": "0-9"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"shrink.mlp": 0.5, "calibration.combine": "max"},
            "'max'; expected mean, sum, weights, w",
        ),
        ({"shrink.layers": 2, "calibration.combine": "mean"}, "got 'mean'; expected sum; others"),
        (LINES_OF_TOKENS, "calibration.lines: got '0-9'; expected none, with tokens"),
    ],
)
def test_calibration_that_a_cut_does_not_read_is_refused(fields, message, tmp_path):
    given = {"calibration.data": "nano", "calibration.source": "fr,sw", "calibration.samples": 4}
    with pytest.raises(InputError, match=message):
        run_from_config(job("nano/xglm", "shrink", **given, **fields), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_samples_without_a_language(tmp_path):
    """Token ids have none; the card names their kind."""
    tokens = np.random.default_rng(0).integers(5, 300, (4, 16), dtype=np.int32)
    np.savez(tmp_path / "tokens.npz", input_ids=tokens, attention_mask=np.ones_like(tokens))
    config = job("nano/xglm", shrink__layers=3, shrink__mlp=0.5, calibration__kind="tokens",
                 calibration__data=str(tmp_path / "tokens.npz"))  # fmt: skip
    found = run_from_config(config, tmp_path / "run")["shrunk"]
    [kind] = found["depth"]["influence"]
    assert found["width"]["shares"].keys() == {kind}
    assert (
        f"- influence of layers measured on: {kind}\n"
        in (tmp_path / "run/hf/README.md").read_text()
    )
    write_report(tmp_path / "run", (), tmp_path / "page.html")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"drop_layers": [1], "coverage": 0.5}, "coverage: .*; expected only with texts"),
        (
            {"drop_layers": [1], "heldout": {"fr": ["dort"]}},
            "heldout: .*; expected only with texts",
        ),
        (
            {"texts": {"fr": ["un"]}, "coverage": 0.9, "tokens": 300},
            "tokens: set with shrink.cover",
        ),
        ({"texts": {"fr": ["un chat"]}, "tokens": 10**6}, "shrink: nothing is dropped"),
        ({"texts": {"fr": "le chat"}}, "texts: fr: got 'le chat'; expected a list of texts"),
        ({"texts": {"fr": [" "]}}, "texts: fr: no text; expected one or more"),
    ],
)
def test_texts_that_do_not_do_are_refused(given, message, tmp_path):
    with pytest.raises(InputError, match=message):
        jp.shrink(jp.load("nano/bloom"), tmp_path / "small", **given)
    assert not (tmp_path / "small").exists()
