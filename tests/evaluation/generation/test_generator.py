"""Generation against transformers' generate."""

import functools

import jax
import numpy as np
import pytest
import torch
from conftest import tiny_torch
from device_jobs import generated, on_eight_devices

import jaxprune as jp
from jaxprune.evaluation.generation import prompt_batch
from jaxprune.evaluation.generation.generator import Generator
from jaxprune.models.model import forward

# Positions of each kind, windows in some layers, caps and scales; Llama is below
FAMILIES = ("xglm", "bloom-12-heads-post", "gpt2-unscaled-inner", "gemma2", "gemma3", "cohere2")
STOP = [7, 2, 90, 91, 92]
NEW = 8


@pytest.fixture(scope="module")
def generator(tiny_folder):
    """name → a generator of that tiny model. Most calls have the same shapes, so they share its programs."""
    return functools.cache(lambda name: Generator(jp.load(tiny_folder(name)), progress=False))


def prompts_of(shared=18, lengths=(3, 9, 1, 15, 6), seed=0, vocab=131):
    rng = np.random.default_rng(seed)
    stem = rng.integers(0, vocab, shared).tolist()
    return [stem + rng.integers(0, vocab, n).tolist() for n in lengths]


def padded_left(prompts):
    width = max(map(len, prompts))
    tokens = np.zeros((len(prompts), width), np.int64)
    valid = np.zeros(tokens.shape, bool)
    for row, prompt in enumerate(prompts):
        tokens[row, width - len(prompt) :] = prompt
        valid[row, width - len(prompt) :] = True
    return tokens, valid


def until_stop(sequence, stop=STOP):
    end = next((i for i, token in enumerate(sequence) if token in stop), len(sequence))
    return list(sequence[:end])


def transformers_generate(name, prompts, new=NEW, stop=STOP):
    tokens, valid = padded_left(prompts)
    model = tiny_torch(name)
    model.generation_config.bos_token_id = None
    out = model.generate(
        torch.from_numpy(tokens),
        attention_mask=torch.from_numpy(valid).long(),
        do_sample=False,
        max_new_tokens=new,
        eos_token_id=sorted(stop),
        pad_token_id=0,
    )
    return [until_stop(row, stop) for row in out[:, tokens.shape[1] :].tolist()]


@pytest.mark.parametrize("name", FAMILIES)
def test_greedy_equals_transformers(name, generator):
    prompts = prompts_of()
    got = generator(name)(prompts, max_new_tokens=NEW, stop=STOP)
    assert got == transformers_generate(name, prompts)


def test_prompts_with_nothing_in_common_equal_transformers(generator):
    prompts = prompts_of(shared=0)
    got = generator("xglm")(prompts, max_new_tokens=NEW)
    assert got == transformers_generate("xglm", prompts, stop=[])


def test_long_prompts_in_pieces_equal_transformers(generator, monkeypatch):
    # micro-batches of one row and of several widths
    monkeypatch.setattr(prompt_batch, "MICRO_BATCH_TOKENS", 100)
    prompts = prompts_of(shared=20, lengths=(70, 3, 66))
    got = generator("bloom-12-heads-post")(prompts, max_new_tokens=4)
    assert got == transformers_generate("bloom-12-heads-post", prompts, new=4, stop=[])


def test_batches_and_rows_that_are_let_go_change_nothing(generator, monkeypatch):
    monkeypatch.setattr(prompt_batch, "LEAST_ROWS", 4)
    name = "gpt2-unscaled-inner"
    generate = functools.partial(generator(name), max_new_tokens=NEW)
    prompts = prompts_of(lengths=(3, 9, 1, 15, 6, 2, 5, 4))
    stop = {generate(prompts)[0][2]}  # all but few of the eight sequences hold it somewhere
    held, real = set(), prompt_batch.PromptBatch.advance

    def advance(batch, chosen):
        held.add(len(batch.prompts))
        return real(batch, chosen)

    monkeypatch.setattr(prompt_batch.PromptBatch, "advance", advance)
    together = generate(prompts, stop=stop)
    assert len(held) > 1
    assert len({len(sequence) for sequence in together}) > 3
    assert together == transformers_generate(name, prompts, stop=stop)
    assert generate(prompts, stop=stop, batch=4) == together
    assert generate(prompts[::-1], stop=stop) == together[::-1]


def drawn_by_torch(name, prompt, number, seed):
    """Token by token: where the cumulated probabilities exceed the number of the step."""
    model, tokens = tiny_torch(name), list(prompt)
    for point in np.random.default_rng((seed, number)).random(NEW, np.float32):
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0, -1].double()
        tokens.append(int(np.searchsorted(np.cumsum(logits.softmax(-1).numpy()), point)))
    return tokens[len(prompt) :]


def test_drawn_tokens_are_at_the_points_of_the_seed(generator):
    name, prompts = "gemma3", prompts_of()
    expected = [drawn_by_torch(name, prompt, i, 3) for i, prompt in enumerate(prompts)]
    generate = functools.partial(generator(name), prompts, max_new_tokens=NEW)
    assert generate(seed=3) == expected
    assert generate(seed=3, batch=2) == expected
    assert generate(seed=4) != expected


def test_eight_devices_generate_as_one(tiny_folder, tmp_path):
    folder = tiny_folder("bloom-6-heads")
    on_eight_devices("generate", folder, tmp_path / "eight.npz")
    with np.load(tmp_path / "eight.npz") as eight:
        one = generated(folder, 1)
        assert set(one) == set(eight.files)
        for key, tokens in one.items():
            np.testing.assert_array_equal(eight[key], tokens)


@pytest.mark.instructions
def test_bfloat16_chooses_tokens_that_are_nearly_the_likeliest(tiny_folder):
    model = jp.load(tiny_folder("qwen3"))
    prompts = prompts_of()
    got = Generator(model, dtype="bfloat16", progress=False)(prompts, max_new_tokens=NEW)
    tokens, valid = padded_left([p + g for p, g in zip(prompts, got, strict=True)])
    every_logit = jax.jit(forward, static_argnames="config")
    out = np.asarray(every_logit(model.config, model.params, tokens, valid))
    places = out[:, -NEW - 1 : -1]
    chosen = np.take_along_axis(places, np.array(got)[..., None], axis=-1)[..., 0]
    assert (places.max(-1) - chosen).max() < 0.1
    assert places.std(-1).mean() > 1


def test_a_stop_token_ends_and_is_left_out(generator):
    generate, prompts = generator("gpt2-unscaled-inner"), prompts_of()
    free = generate(prompts, max_new_tokens=NEW)
    stop = [free[0][4]]
    got = generate(prompts, max_new_tokens=NEW, stop=stop)
    assert got == [until_stop(sequence, stop) for sequence in free]
    assert len(got[0]) <= 4
    assert generate(prompts, max_new_tokens=NEW, stop=range(131)) == [[]] * 5
    assert generate([], max_new_tokens=NEW) == []


def test_a_prompt_alone_and_a_single_token(generator):
    prompt = prompts_of()[0]
    got = generator("llama")([prompt], max_new_tokens=1)
    assert got == transformers_generate("llama", [prompt], new=1, stop=[])


def test_equal_prompts_keep_a_token_of_their_own(generator):
    prompts = [prompts_of()[3]] * 5
    got = generator("xglm")(prompts, max_new_tokens=NEW)
    assert got == transformers_generate("xglm", prompts, stop=[])


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([[1, 131]], "prompt 0 has token id 131; expected 0 to 130, the model's vocabulary"),
        ([[1], [1] * 58], "prompt 1 has 58 tokens and max_new_tokens is 7; expected 64 together"),
    ],
)
def test_what_cannot_be_generated_from_is_refused(prompts, message, generator):
    with pytest.raises(jp.InputError, match=message):
        generator("xglm")(prompts, max_new_tokens=7)
