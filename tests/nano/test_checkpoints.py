"""The bundled checkpoints: what docs/nano.md says of them, on fewer rows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from jaxprune.hf.model import Model, load
from jaxprune.nano import CHECKPOINTS
from nano import corpus, evaluate
from nano.grammar import LANGUAGES


@pytest.fixture(scope="module", params=CHECKPOINTS)
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(CHECKPOINTS[request.param])


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load(folder)


@pytest.fixture(scope="module")
def torch_model(folder: Path) -> PreTrainedModel:
    """The folder as transformers loads it."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def test_size() -> None:
    files = [file for path in CHECKPOINTS.values() for file in Path(path).rglob("*")]
    sizes = {file: file.stat().st_size for file in files if file.is_file()}
    assert sum(sizes.values()) < 20e6
    assert {file.name for file in sizes} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_torch_computes_the_same(model: Model, torch_model: PreTrainedModel) -> None:
    text = "French: le chat dort</s>English: the cat sleeps</s>French: l'oiseau chante</s>English:"
    ids = model.tokenizer(text)["input_ids"]
    with torch.no_grad():
        out = torch.log_softmax(torch_model(torch.tensor([ids])).logits[0, :-1], dim=-1)
    expected = out[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].numpy()
    np.testing.assert_allclose(evaluate.predict(model, [text])[0][0], expected, atol=1e-4)


def test_greedy_translation_is_what_one_pass_says(
    model: Model, torch_model: PreTrainedModel
) -> None:
    """`evaluate.translation` never generates; torch's generate agrees with its verdicts."""
    shown = zip(*(corpus.sentences(code, "train", 2, 1) for code in ("de", "en")), strict=True)
    pairs = list(shown)
    asked = zip(*(corpus.sentences(code, "held_out", 4, 7) for code in ("de", "en")), strict=True)
    queries, answers = zip(*asked, strict=True)
    prompts = [corpus.translation_prompt(pairs, "de", "en", query) for query in queries]
    texts = [f"{prompt} {answer}</s>" for prompt, answer in zip(prompts, answers, strict=True)]
    predictions = evaluate.predict(model, texts)
    for prompt, answer, prediction in zip(prompts, answers, predictions, strict=True):
        ids = model.tokenizer(prompt, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            out = torch_model.generate(ids, max_new_tokens=24, do_sample=False)[0, ids.shape[1] :]
        generated = model.tokenizer.decode(out, skip_special_tokens=True).strip()
        ending = len(model.tokenizer(f"{prompt} {answer}</s>")["input_ids"]) - ids.shape[1]
        assert prediction.is_argmax[-ending:].all() == (generated == answer)


@pytest.mark.parametrize(("shots", "count"), [(1, 20), (4, 8)])  # 1,024 tokens: one micro-batch
def test_translates_held_out_meanings(model: Model, shots: int, count: int) -> None:
    directions = [("en", "fr"), ("fr", "sw"), ("sw", "de"), ("es", "en")]
    right = [evaluate.translation(model, s, t, count=count, shots=shots) for s, t in directions]
    assert np.mean(right) > 0.9


def test_infers(model: Model) -> None:
    """English well; the others worse, but better than the 1/3 of a guess, with a standard error of .06."""
    english, *others = (evaluate.nli(model, code, count=60) for code in ("en", "fr", "sw"))
    assert english > 0.8
    assert all(0.6 < other <= english + 0.03 for other in others)


def test_judges_reviews(model: Model) -> None:
    """A guess gets 1/2, with a standard error of .07."""
    english, *others = (evaluate.reviews(model, code, count=50) for code in LANGUAGES)
    assert english > 0.9
    assert min(others) > 0.7
