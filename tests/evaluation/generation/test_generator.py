"""Generation against transformers' generate, and against a loop that computes all logits anew for each token."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from conftest import tiny_torch
from device_jobs import generated, on_eight_devices, xglm_shaped

import jaxprune as jp
from jaxprune.evaluation.generation import prompt_batch
from jaxprune.evaluation.generation.generator import Generator
from jaxprune.models import logits

FAMILIES = ("xglm", "bloom-12-heads-post", "gpt2-unscaled-inner", "llama", "qwen2", "qwen3")
STOP = [7, 2, 90, 91, 92]
NEW = 8


def prompts_of(vocab, shared=18, lengths=(3, 9, 1, 17, 6), seed=0):
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


def plain_loop(params, config, prompts, new):
    """The likeliest token, again and again, from the logits of the whole left-padded rows."""
    tokens, valid = padded_left(prompts)
    width = tokens.shape[1]
    tokens = np.pad(tokens, ((0, 0), (0, new)))
    valid = np.pad(valid, ((0, 0), (0, new)))
    every = jax.jit(functools.partial(logits, config=config))
    for place in range(width, width + new):
        out = every(params, tokens=jnp.asarray(tokens), valid=jnp.asarray(valid))
        tokens[:, place] = np.asarray(out)[:, place - 1].argmax(-1)
        valid[:, place] = True
    return tokens[:, width:].tolist()


def transformers_generate(name, prompts, beams, **settings):
    tokens, valid = padded_left(prompts)
    model = tiny_torch(name)
    model.generation_config.bos_token_id = None
    out = model.generate(
        torch.from_numpy(tokens),
        attention_mask=torch.from_numpy(valid).long(),
        do_sample=False,
        num_beams=beams,
        max_new_tokens=NEW,
        eos_token_id=STOP,
        pad_token_id=0,
        **settings,
    )
    return [until_stop(row) for row in out[:, tokens.shape[1] :].tolist()]


@pytest.mark.parametrize("name", FAMILIES)
def test_greedy_and_beams_equal_transformers(name, tiny_folder):
    model = jp.load(tiny_folder(name))
    prompts = prompts_of(model.config.vocab_size)
    generator = Generator(model, progress=False)
    greedy = generator(prompts, max_new_tokens=NEW, stop=STOP)
    assert greedy == transformers_generate(name, prompts, 1)
    settings = {"length_penalty": 0.7}
    beams = generator(prompts, max_new_tokens=NEW, stop=STOP, beams=3, **settings)
    assert beams == transformers_generate(name, prompts, 3, **settings)
    assert beams != greedy


def test_prompts_with_nothing_in_common_equal_a_plain_loop(tiny_folder):
    model = jp.load(tiny_folder("xglm"))
    prompts = prompts_of(model.config.vocab_size, shared=0)
    got = Generator(model, progress=False)(prompts, max_new_tokens=NEW)
    assert got == plain_loop(model.params, model.config, prompts, NEW)


def test_long_prompts_in_pieces_equal_a_plain_loop(tiny_folder, monkeypatch):
    monkeypatch.setattr(
        prompt_batch, "MICRO_BATCH_TOKENS", 300
    )  # micro-batches of one row and of several widths
    model = jp.load(tiny_folder("bloom-6-heads"))
    prompts = prompts_of(131, shared=70, lengths=(150, 3, 70, 140))
    got = Generator(model, progress=False)(prompts, max_new_tokens=4)
    assert got == plain_loop(model.params, model.config, prompts, 4)


@pytest.mark.parametrize("beams", [1, 2])
def test_batches_and_rows_that_are_let_go_change_nothing(beams, tiny_folder, monkeypatch):
    monkeypatch.setattr(prompt_batch, "LEAST_ROWS", 2)
    model = jp.load(tiny_folder("qwen2"))
    prompts = prompts_of(131, shared=20, lengths=[1 + i % 4 for i in range(8)])
    generator = Generator(model, progress=False)
    free = generator(prompts, max_new_tokens=12)
    stop = {sequence[2] for sequence in free[:5]}  # five of eight rows end early, the others later
    settings = {"max_new_tokens": 12, "stop": stop, "beams": beams}
    held = set()
    advance = prompt_batch.PromptBatch.advance
    monkeypatch.setattr(
        prompt_batch.PromptBatch,
        "advance",
        lambda self, c: (held.add(len(self.prompts)), advance(self, c)),
    )
    together = generator(prompts, **settings)
    assert beams > 1 or len(held) > 1
    assert len({len(sequence) for sequence in together}) > 1
    assert generator(prompts, batch=4 * beams, **settings) == together
    assert generator(prompts[::-1], **settings) == together[::-1]
    for place in (2, 5):
        assert generator(prompts[place : place + 1], **settings) == [together[place]]


def test_eight_devices_generate_as_one(tiny_folder, tmp_path):
    folder = tiny_folder("bloom-6-heads")
    on_eight_devices("generate", folder, tmp_path / "eight.npz")
    with np.load(tmp_path / "eight.npz") as eight:
        one = generated(folder, 1)
        assert set(one) == set(eight.files)
        for key, tokens in one.items():
            np.testing.assert_array_equal(eight[key], tokens)


def test_bfloat16_chooses_tokens_that_are_nearly_the_likeliest(tiny_folder):
    model = jp.load(tiny_folder("qwen3"))
    prompts = prompts_of(131)
    got = Generator(model, dtype="bfloat16", progress=False)(prompts, max_new_tokens=NEW)
    tokens, valid = padded_left([p + g for p, g in zip(prompts, got, strict=True)])
    params = jax.tree.map(jnp.asarray, model.params)
    out = np.asarray(logits(params, model.config, jnp.asarray(tokens), jnp.asarray(valid)))
    places = out[:, -NEW - 1 : -1]
    chosen = np.take_along_axis(places, np.array(got)[..., None], axis=-1)[..., 0]
    assert (places.max(-1) - chosen).max() < 0.1
    assert places.std(-1).mean() > 1


def test_a_stop_token_ends_and_is_left_out(tiny_folder):
    model = jp.load(tiny_folder("llama"))
    generator = Generator(model, progress=False)
    prompt = prompts_of(131)[0]
    free = generator([prompt], max_new_tokens=NEW)[0]
    place = free.index(free[4])
    assert generator([prompt], max_new_tokens=NEW, stop=[free[4]]) == [free[:place]]
    assert generator([prompt], max_new_tokens=3) == [free[:3]]
    assert generator([prompt], max_new_tokens=NEW, stop=range(131)) == [[]]
    assert generator([], max_new_tokens=NEW) == []


def test_equal_prompts_keep_a_token_of_their_own(tiny_folder):
    model = jp.load(tiny_folder("gpt2"))
    prompt = prompts_of(131)[3]
    generator = Generator(model, progress=False)
    got = generator([prompt] * 3, max_new_tokens=4)
    assert got[0] == got[1] == got[2]
    assert got[:1] == generator([prompt], max_new_tokens=4)


@pytest.mark.parametrize(
    ("prompts", "settings", "message"),
    [
        ([[1, 2], []], {}, "prompt 1 is empty; allowed: 1 token or more"),
        ([[1, 97]], {}, "prompt 0 has token id 97; allowed: 0 to 96, the model's vocabulary"),
        ([[1, -1]], {}, "prompt 0 has token id -1; allowed: 0 to 96"),
        (
            [[1], [1] * 250],
            {},
            "prompt 1 has 250 tokens and max_new_tokens is 7; allowed: 256 together",
        ),
        ([[1]], {"max_new_tokens": 0}, "max_new_tokens: got 0; allowed: an integer of at least 1"),
        ([[1]], {"beams": 1.5}, "beams: got 1.5; allowed: an integer of at least 1"),
        ([[1]], {"batch": 0}, "batch: got 0; allowed: an integer of at least 1"),
        ([[1]], {"stop": [97]}, "stop: got 97; allowed: 0 to 96, the model's vocabulary"),
        ([[1]], {"dtype": "float16"}, "dtype: got 'float16'; allowed: float32, bfloat16"),
    ],
)
def test_what_cannot_be_generated_from_is_refused(prompts, settings, message):
    numbers = {"max_new_tokens": 7} | settings
    dtype = numbers.pop("dtype", "float32")
    with pytest.raises(jp.InputError, match=message):
        Generator(xglm_shaped(1), dtype=dtype, progress=False)(prompts, **numbers)
