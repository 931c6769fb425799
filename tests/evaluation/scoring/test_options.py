"""Protocols: tokens and scores against a plain torch loop over single texts."""

import functools
from importlib.resources import files

import numpy as np
import pytest
import torch
from torch_scores import token_scores
from transformers import AutoModelForCausalLM

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.evaluation.scoring.options import encode_pairs, encode_questions, question_scores
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.evaluation.tasks.questions import Option, Question

NANO = files("jaxprune").joinpath("nano", "checkpoints")
# as an NLI row, as XCOPA has it, a context that ends in white space, and one that is only that
TEXTS = [
    ("", "le chat dort , right? Yes , le chat mange"),
    ("the dog sleeps because", " the cat eats"),
    ("the dog sleeps because  ", "the cat"),
    ("  ", "the cat"),
]


@pytest.fixture(scope="module", params=["xglm", "gpt2"])  # </s> in front; no special tokens
def model(request):
    return jp.load(str(NANO / request.param))


@pytest.fixture(scope="module")
def scorer(model):
    return Scorer(model, progress=False)


def as_questions(texts):
    """A question of two options for each text: the text, and it with one word more."""
    return [
        Question((Option(context, said), Option(context, f"{said} negative")), 0, row)
        for row, (context, said) in enumerate(texts)
    ]


@functools.cache
def network(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def of_harness(tokenizer, context, continuation):
    """One pair as the harness describes it: (tokens, how many are given)."""
    if not context.strip():
        prefix = tokenizer.bos_token_id
        rest = tokenizer.encode(context + continuation, add_special_tokens=False)
        return [prefix, *rest], 1
    given = context.rstrip()
    whole = tokenizer.encode(given + context[len(given) :] + continuation)
    return whole, len(tokenizer.encode(given))


def test_paper_is_the_mean_over_all_tokens_but_the_first(model, scorer):
    got = question_scores(scorer, as_questions(TEXTS), "paper", "t")
    assert (got.shape, got.dtype) == ((4, 2), np.float32)
    for question, scores in zip(as_questions(TEXTS), got, strict=True):
        for option, score in zip(question.options, scores, strict=True):
            tokens = model.tokenizer(option.context + option.continuation)["input_ids"]
            expected, _ = token_scores(network(model.folder), tokens)
            assert score == pytest.approx(expected.mean(), abs=1e-4)


def test_official_divides_by_all_tokens(model, scorer):
    paper, official = (
        question_scores(scorer, as_questions(TEXTS), name, "t") for name in ("paper", "official")
    )
    texts = [o.context + o.continuation for q in as_questions(TEXTS) for o in q.options]
    sizes = np.array([len(model.tokenizer(text)["input_ids"]) for text in texts]).reshape(-1, 2)
    np.testing.assert_allclose(official, paper * (sizes - 1) / sizes, rtol=1e-6)


def test_lm_eval_is_the_sum_over_the_continuation(model, scorer):
    got = question_scores(scorer, as_questions(TEXTS), "lm_eval", "t")
    for question, scores in zip(as_questions(TEXTS), got, strict=True):
        for option, score in zip(question.options, scores, strict=True):
            tokens, given = of_harness(model.tokenizer, option.context, option.continuation)
            expected, _ = token_scores(network(model.folder), tokens, given)
            assert score == pytest.approx(expected.sum(), abs=1e-3)


def test_white_space_at_the_end_of_a_context_is_scored(model):
    tokenizer = model.tokenizer
    (moved, plain), starts = encode_pairs(tokenizer, [("the dog  ", "cat"), ("the dog", "  cat")])
    assert moved == plain
    assert starts == [len(tokenizer("the dog")["input_ids"])] * 2


def test_a_bos_that_the_text_brings_is_not_doubled(model):
    bos = model.tokenizer.bos_token
    (tokens,), starts = encode_pairs(model.tokenizer, [("", f"{bos}the cat")])
    assert tokens.count(model.tokenizer.bos_token_id) == 1
    assert (tokens[0], starts) == (model.tokenizer.bos_token_id, [1])


def test_rows_that_cannot_be_scored_are_named(model, scorer):
    long = Question((Option("", "chat"), Option("", "chat " * 600)), 0, 71)
    with pytest.raises(InputError, match=r"xnli fr: row 71 option 1 has \d+ tokens; expected \d+"):
        question_scores(scorer, [*as_questions(TEXTS), long], "paper", "xnli fr")
    nothing = Question((Option("the dog", ""), Option("the dog", " cat")), 0, 5)
    message = r"row 5 option 0 has \d tokens and scores from number \d"
    with pytest.raises(InputError, match=message):
        question_scores(scorer, [nothing], "lm_eval", "xnli fr")


def test_an_option_may_have_as_many_tokens_as_the_model_has_positions(model):
    limit, added = model.config.max_positions, len(model.tokenizer("")["input_ids"])

    def encoded(dots):
        question = Question((Option("", " ." * dots),), 0, 3)
        return encode_questions(model, [question], "paper", "xnli fr")

    assert [*map(len, encoded(limit - added).sequences)] == [limit]
    with pytest.raises(InputError, match=rf"option 0 has {limit + 1} tokens; expected {limit}"):
        encoded(limit - added + 1)


def test_an_empty_context_needs_a_token_to_stand_for_it(model):
    class Without:
        bos_token_id = eos_token_id = None

        def __call__(self, texts, **how):
            return model.tokenizer(texts, **how)

    with pytest.raises(InputError, match="neither BOS nor EOS"):
        encode_pairs(Without(), [("", "a")])
