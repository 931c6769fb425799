"""Runs that evaluated different things are not compared."""

import dataclasses
import json
import random
import shutil

import pytest
from evaluated import evaluation_job

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.evaluation.identity import identities
from jaxprune.evaluation.scoring.perplexity import PlainText
from jaxprune.evaluation.translation.sentences import Pair, Sentences
from jaxprune.evaluation.workload import Workload
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs.evaluate import evaluate_from_config

LINES = [f"{who} {does}" for who in ("le chat", "le chien", "la femme") for does in ("dort", "lit")]
ROWS = [
    {"premise": line, "hypothesis": LINES[number - 1], "label": number % 3}
    for number, line in enumerate(LINES)
]


def write_data(folder, lines=LINES, rows=ROWS):
    """Text for perplexity and rows for XNLI, in French."""
    for name, text in (
        ("text/fr.txt", "".join(f"{line}\n" for line in lines)),
        ("rows/fr.jsonl", "".join(json.dumps(row) + "\n" for row in rows)),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def job(data, model=CHECKPOINTS["bloom"], **fields):
    asked = {"tasks": "xnli", "data": f"{data}/rows", "perplexity": f"{data}/text"}
    return evaluation_job(model, **asked | fields)


def in_memory(data):
    asked = {"data": f"{data}/rows", "perplexity": f"{data}/text"}
    return jp.evaluate(jp.load(CHECKPOINTS["bloom"]), "xnli", progress=False, **asked)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "a"
    evaluate_from_config(job(data), workdir)
    return workdir


@pytest.fixture(scope="module")
def other_tokenizer(tmp_path_factory):
    """The bundled model with two tokens in exchange, so that all texts have as many as before."""
    folder = tmp_path_factory.mktemp("model") / "bloom"
    shutil.copytree(CHECKPOINTS["bloom"], folder)
    rules = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = rules["model"]["vocab"]
    one, two = list(vocabulary)[-2:]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    (folder / "tokenizer.json").write_text(json.dumps(rules))
    return folder


def refused(a, b, message):
    """In either order."""
    for pair in ((a, b), (b, a)):
        with pytest.raises(InputError, match=f"^{message}$"):
            jp.compare(*pair)


SHA = r"'[0-9a-f]{12}…'"
SAME = "expected the same in both"


def test_perplexity_of_other_lines_with_as_many_tokens(data, run, tmp_path):
    other = write_data(tmp_path / "data", random.Random(0).sample(LINES, len(LINES)))
    evaluate_from_config(job(other), tmp_path / "b")
    found = [open_evaluation(folder).perplexities["fr"] for folder in (run, tmp_path / "b")]
    assert found[0].tokens == found[1].tokens
    assert found[0].perplexity != found[1].perplexity
    message = rf"perplexity/fr: content {SHA} in .+ and {SHA} in .+; {SAME}"
    refused(run, tmp_path / "b", message)
    refused(in_memory(data), in_memory(other), message)
    for folder in (run, tmp_path / "b"):  # and where nothing else is compared
        shutil.copytree(folder / "perplexity", tmp_path / "alone" / folder.name / "perplexity")
    refused(tmp_path / "alone" / "a", tmp_path / "alone" / "b", message)


def test_rows_with_other_texts_and_equal_labels(data, run, tmp_path):
    rows = [*ROWS[:4], ROWS[4] | {"premise": "la femme mange"}, ROWS[5]]
    other = write_data(tmp_path / "data", rows=rows)
    evaluate_from_config(job(other), tmp_path / "b")
    message = rf"xnli/fr: content {SHA} in .+ and {SHA} in .+; {SAME}"
    refused(run, tmp_path / "b", message)
    evaluate_from_config(job(other, rows=4), tmp_path / "few")
    shutil.rmtree(tmp_path / "few" / "perplexity")  # of four lines
    refused(run, tmp_path / "few", rf"xnli/fr: rows \d in .+ and \d in .+; {SAME}")


def test_another_tokenizer_is_noted(data, run, other_tokenizer, tmp_path):
    evaluate_from_config(job(data, other_tokenizer), tmp_path / "b")
    [note] = jp.compare(run, tmp_path / "b").notes
    assert note.startswith("The tokenizers of a and b differ")


def test_an_evaluation_with_another_tokenizer_is_not_the_same_evaluation(
    data, other_tokenizer, tmp_path
):
    shutil.copytree(CHECKPOINTS["bloom"], tmp_path / "model")
    evaluate_from_config(job(data, tmp_path / "model"), tmp_path / "run")
    shutil.copy(other_tokenizer / "tokenizer.json", tmp_path / "model")
    with pytest.raises(InputError, match=rf"another evaluation, with tokenizer {SHA}, now {SHA}; "):
        evaluate_from_config(job(data, tmp_path / "model"), tmp_path / "run")


def test_scores_of_another_model_are_not_replaced(data, run, tmp_path):
    model = jp.load(CHECKPOINTS["bloom"])
    keep = jp.masks.keep(jp.scores.magnitude(model.params), sparsity=0.5)
    jp.export_hf(model, jp.masks.apply(model.params, keep), tmp_path / "hf")
    with pytest.raises(InputError, match=r"has the scores of another model; add --overwrite"):
        evaluate_from_config(job(data, tmp_path / "hf"), run)


def test_the_digest_of_a_tokenizer_is_of_its_rules(other_tokenizer, tmp_path):
    model = jp.load(CHECKPOINTS["bloom"])
    jp.export_hf(model, model.params, tmp_path / "hf")
    config = tmp_path / "hf" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"torch_dtype": "bfloat16"}))
    assert jp.load(tmp_path / "hf").tokenizer_digest == model.tokenizer_digest
    # as other programs save it, after any call
    model.tokenizer(LINES, padding=True, truncation=True, max_length=4)
    shutil.copytree(CHECKPOINTS["bloom"], tmp_path / "saved")
    model.tokenizer.save_pretrained(tmp_path / "saved")
    same = jp.load(tmp_path / "saved").tokenizer_digest
    assert same == dataclasses.replace(model).tokenizer_digest == model.tokenizer_digest
    assert jp.load(other_tokenizer).tokenizer_digest != same
    about = tmp_path / "saved" / "tokenizer_config.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"eos_token": "<pad>"}))
    assert jp.load(tmp_path / "saved").tokenizer_digest != same


def test_other_parts_of_a_text_are_another_evaluation():
    """As after `index.tsv` was added; the intervals are over parts."""
    model, found = jp.load(CHECKPOINTS["bloom"]), []
    for parts in ((0, 0), (0, 1)):
        text = PlainText.joined(["un chat", "deux"], parts, between="\n")
        found.append(identities(Workload([], {"fr": text}, {}), model, "float32"))
    assert found[0] != found[1]


def test_translations_with_other_demonstrations_are_another_evaluation():
    model, asked = jp.load(CHECKPOINTS["bloom"]), [Pair("le chat dort", "the cat sleeps")]
    one, other, same = (
        identities(Workload([], {}, {"fr": Sentences("fr", "en", shown, asked)}), model, "float32")
        for shown in ([Pair("un", "one")], [Pair("deux", "two")], [Pair("un", "one")])
    )
    assert one == same != other


def test_another_dtype(data, run, tmp_path):
    evaluate_from_config(job(data, dtype="bfloat16"), tmp_path / "b")
    message = rf"perplexity: dtype '\w+' in .+ and '\w+' in .+; {SAME}"
    refused(run, tmp_path / "b", message)
