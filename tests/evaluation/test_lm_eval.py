"""The harness's model class against the harness's own Hugging Face class, request by request."""

import shutil
from importlib.resources import files

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


def random_model(folder):
    """Random weights, far enough from 0 that no two tokens are equally likely, with a tokenizer of words."""
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(NANO / "gpt2" / file, folder)
    config = TINY["gpt2"]()
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
def both(request):
    """Our class and the harness's for one model."""
    folder = str(NANO / request.param)
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
    folder = random_model(tmp_path)
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
    accuracies, scores = [], []
    for model in ("jaxprune", "hf"):
        found = simple_evaluate(
            model=model,
            model_args=f"pretrained={NANO / 'xglm'},dtype=float32",
            tasks=[dict(TASK)],
            task_manager=TaskManager(include_defaults=False),
            device="cpu",
            bootstrap_iters=0,
        )
        accuracies.append(found["results"]["animals"]["acc,none"])
        answers = (one["filtered_resps"] for one in found["samples"]["animals"])
        scores.append([float(answer[0]) for of_row in answers for answer in of_row])
    assert accuracies[0] == accuracies[1]
    np.testing.assert_allclose(*scores, atol=1e-4)


def test_what_cannot_be_asked_is_refused():
    ours = JaxpruneLM(str(NANO / "xglm"), max_length=LENGTH)
    with pytest.raises(jp.InputError, match=r"max_length: got 513; expected 1 to 512, the model's"):
        JaxpruneLM(str(NANO / "xglm"), max_length=513)
    with pytest.raises(jp.InputError, match=r"dtype: got 'int8'; expected float32, bfloat16"):
        JaxpruneLM(str(NANO / "xglm"), dtype="int8")
    for wrong in ("", " the dog" * 40):
        with pytest.raises(
            jp.InputError, match=r"request 0: a continuation of \d+ tokens; expected 1 to 24"
        ):
            ours.loglikelihood(requests("loglikelihood", [("a", wrong)]), disable_tqdm=True)
    bare = JaxpruneLM(str(NANO / "bloom"))  # of an empty text it makes no token
    assert bare.loglikelihood_rolling(requests("loglikelihood_rolling", [("",)])) == [0.0]
    assert ours.loglikelihood([]) == ours.loglikelihood_rolling([]) == ours.generate_until([]) == []
    with pytest.raises(jp.InputError, match=r'a task generates text; choose .* or model="hf"'):
        ours.generate_until(requests("generate_until", [("a", {"until": ["b"]})]))
