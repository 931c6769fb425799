"""The harness's model class against the harness's own Hugging Face class, request by request."""

import os
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from ci_packages import needs
from conftest import TINY

import jaxprune as jp

needs("lm_eval", "accelerate")  # the harness, and a package that its own class needs

from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402

from jaxprune.evaluation.lm_eval import JaxpruneLM  # noqa: E402

NANO = files("jaxprune").joinpath("nano", "checkpoints")
SMOLLM2, FLORES = os.environ.get("JAXPRUNE_SMOLLM2"), os.environ.get("JAXPRUNE_FLORES")
LENGTH = 24  # of the windows; the models have more positions

STORY = "the dog sees a cat . le chien voit un chat . der Hund sieht eine Katze . " * 4
PAIRS = [
    ("the dog sees", " the cat"),
    ("the dog sees", " a cat and a dog"),
    ("the dog sees", " a cat and a bird"),
    ("the dog sees ", "the cat"),  # white space goes to the continuation
    ("French: le chat dort</s>English:", " the cat sleeps"),
    ("</s>the dog", " sleeps"),  # begins with a special token
    ("", "the dog sleeps"),
    ("", "</s>the dog sleeps"),
    (STORY, " the cat"),  # cut on the left
    ("the dog sees", " a cat" + " and a dog" * 5),
]
TEXTS = ["the dog", STORY, STORY[7:120], "", "le chat dort"]


def requests(kind, arguments):
    return [Instance(kind, {}, args, number) for number, args in enumerate(arguments)]


def random_model(name, folder):
    """Random weights, far enough from 0 that no two tokens are equally likely, with a tokenizer of words."""
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(NANO / "gpt2" / file, folder)
    config = TINY[name]()
    config.vocab_size = len(transformers.AutoTokenizer.from_pretrained(folder))
    config.bos_token_id = config.eos_token_id = None
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim > 1:
                value.normal_(0, 0.15)
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module", params=["xglm", "bloom"])  # </s> in front; no special tokens
def folder(request, tmp_path_factory):
    """A bundled model; of a family of which there is none, random weights with a tokenizer of theirs."""
    name = request.param
    bundled = NANO / name
    return str(bundled) if bundled.is_dir() else random_model(name, tmp_path_factory.mktemp(name))


@pytest.fixture(scope="module")
def both(folder):
    """Our class and the harness's for one model."""
    # Its cache of logits reads the wrong positions of continuations of several lengths (version 0.4.13).
    settings = {"dtype": "float32", "batch_size": 4, "logits_cache": False}
    reference = HFLM(folder, device="cpu", max_length=LENGTH, **settings)
    return JaxpruneLM(folder, max_length=LENGTH), reference


def test_continuations_score_alike(both):
    got, want = (
        model.loglikelihood(requests("loglikelihood", PAIRS), disable_tqdm=True) for model in both
    )
    np.testing.assert_allclose([a for a, _ in got], [a for a, _ in want], atol=1e-4, rtol=1e-5)
    greedy = [is_greedy for _, is_greedy in got]
    assert greedy == [is_greedy for _, is_greedy in want]
    assert any(greedy)  # a translation that these have learnt


def test_texts_in_windows_score_alike(both):
    arguments = [(text,) for text in TEXTS]
    got, want = (
        model.loglikelihood_rolling(requests("loglikelihood_rolling", arguments), True)
        for model in both
    )
    assert len(both[0].tok_encode(STORY)) > 2 * LENGTH
    np.testing.assert_allclose(got, want, atol=1e-4, rtol=1e-5)


def test_a_model_is_used_up_to_its_last_position(tmp_path):
    """One token more than there are positions is scored: it is only predicted."""
    folder = random_model("gpt2", tmp_path)
    models = JaxpruneLM(folder), HFLM(folder, device="cpu", dtype="float32")
    assert models[0].max_length == models[1].max_length == 64
    assert len(models[0].tok_encode(STORY)) > 65
    pairs = requests("loglikelihood", [(STORY, " the cat"), ("the dog", STORY[:60])])
    got, want = (model.loglikelihood(pairs, disable_tqdm=True) for model in models)
    np.testing.assert_allclose([a for a, _ in got], [a for a, _ in want], atol=1e-4)
    texts = requests("loglikelihood_rolling", [(STORY,)])
    got, want = (model.loglikelihood_rolling(texts, disable_tqdm=True) for model in models)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def rows(**_):
    import datasets

    lines = [
        {"premise": "the dog sleeps", "choices": ["sleeps", "eats"], "answer": 0},
        {"premise": "a cat eats", "choices": ["sleeps", "eats"], "answer": 1},
        {"premise": "the bird sings", "choices": ["eats", "sings"], "answer": 1},
    ]
    return {"test": datasets.Dataset.from_list(lines)}


TASK = {
    "task": "animals",
    "custom_dataset": rows,
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{premise}} , so it",
    "doc_to_choice": "choices",
    "doc_to_target": "answer",
    "metric_list": [{"metric": "acc"}],
}


def test_simple_evaluate(monkeypatch):
    from lm_eval import evaluator, simple_evaluate
    from lm_eval.tasks import TaskManager

    monkeypatch.setattr(evaluator, "add_env_info", lambda results: None)  # asks pip, for seconds
    found = {}
    for model, arguments in (
        ("jaxprune", f"pretrained={NANO / 'xglm'},dtype=float32"),
        ("hf", f"pretrained={NANO / 'xglm'},dtype=float32"),
    ):
        found[model] = simple_evaluate(
            model=model,
            model_args=arguments,
            tasks=[dict(TASK)],
            task_manager=TaskManager(include_defaults=False),
            device="cpu",
            bootstrap_iters=0,
        )
    ours, theirs = found["jaxprune"], found["hf"]
    assert ours["results"]["animals"]["acc,none"] == theirs["results"]["animals"]["acc,none"]
    scores = [
        [
            float(answer[0])
            for sample in result["samples"]["animals"]
            for answer in sample["filtered_resps"]
        ]
        for result in (ours, theirs)
    ]
    np.testing.assert_allclose(*scores, atol=1e-4)


def test_what_cannot_be_asked_is_refused():
    ours = JaxpruneLM(str(NANO / "xglm"), max_length=LENGTH)
    with pytest.raises(jp.InputError, match=r"max_length: got 513; expected 1 to 512, the model's"):
        JaxpruneLM(str(NANO / "xglm"), max_length=513)
    with pytest.raises(jp.InputError, match=r"dtype: got 'int8'; expected float32, bfloat16"):
        JaxpruneLM(str(NANO / "xglm"), dtype="int8")
    with pytest.raises(jp.InputError, match=r"max_length: got 0; expected 1 to 512, the model"):
        JaxpruneLM(str(NANO / "xglm"), max_length=0)
    for wrong in ("", " the dog" * 40):
        with pytest.raises(jp.InputError, match=r"request 0: a continuation of \d+ tokens; allow"):
            ours.loglikelihood(requests("loglikelihood", [("a", wrong)]), disable_tqdm=True)
    bare = JaxpruneLM(str(NANO / "bloom"))  # of an empty text it makes no token
    assert bare.loglikelihood_rolling(requests("loglikelihood_rolling", [("",)])) == [0.0]
    assert ours.loglikelihood([]) == ours.loglikelihood_rolling([]) == ours.generate_until([]) == []
    with pytest.raises(jp.InputError, match=r'a task generates text; expected .* or model="hf"'):
        ours.generate_until(requests("generate_until", [("a", {"until": ["b"]})]))


@pytest.mark.skipif(not (SMOLLM2 and FLORES), reason="JAXPRUNE_SMOLLM2 and JAXPRUNE_FLORES not set")
def test_smollm2_answers_alike():
    french, english = (
        Path(FLORES, f"{code}.txt").read_text(encoding="utf-8").splitlines()[:12]
        for code in ("fr", "en")
    )
    settings = {"dtype": "float32", "max_length": 128}
    ours = JaxpruneLM(SMOLLM2, **settings)
    theirs = HFLM(SMOLLM2, device="cpu", batch_size=4, logits_cache=False, **settings)
    pairs = [(f"{one},", f" right? {two}") for one, two in zip(french, english, strict=True)]
    asked = {
        "loglikelihood": [*pairs, ("", english[0]), (" ".join(english), " Yes")],
        "loglikelihood_rolling": [(" ".join(french),), (english[0],)],
    }
    for kind, arguments in asked.items():
        got, want = (
            getattr(model, kind)(requests(kind, arguments), disable_tqdm=True)
            for model in (ours, theirs)
        )
        if kind == "loglikelihood":
            assert [greedy for _, greedy in got] == [greedy for _, greedy in want]
            got, want = ([score for score, _ in answers] for answers in (got, want))
        np.testing.assert_allclose(got, want, atol=1e-3, rtol=1e-5)
