"""Tokenizers, packing and the trainer, on runs of a few steps."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from jaxprune.base.errors import InputError
from jaxprune.hf.model import load
from jaxprune.models.model import forward, load_config
from nano import corpus, packing, train, vocabulary
from nano.corpus import EOS, Document
from nano.grammar import LANGUAGES
from nano.train import ARCHITECTURES, Recipe, init


@functools.cache
def trained(architecture: str) -> PreTrainedTokenizerBase:
    return vocabulary.build(architecture, documents=1000)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vocabulary trained on little text, in a folder with a config."""
    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = trained(request.param)
    config = train.nano_config(request.param, len(tokenizer))
    train.save(config, init(config, 0), tokenizer, folder)
    return folder


def loaded(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder)


def test_tokenizer_gives_texts_back(saved: Path) -> None:
    tokenizer = loaded(saved)
    assert (tokenizer.eos_token, tokenizer.pad_token, tokenizer.unk_token) == (
        EOS,
        "<pad>",
        "<unk>",
    )
    for code in LANGUAGES:
        for sentence in corpus.sentences(code, "held_out", 50):
            ids = tokenizer(sentence)["input_ids"]
            assert tokenizer.unk_token_id not in ids
            assert tokenizer.decode(ids, skip_special_tokens=True).strip() == sentence


def test_labels_and_language_names_are_one_token(saved: Path) -> None:
    tokenizer = loaded(saved)
    labels = [*corpus.VERBALISERS.values(), "positive", "negative", *LANGUAGES.values()]
    for label in labels:
        assert len(tokenizer(f"the dog {label}")["input_ids"]) == 1 + len(
            tokenizer("the dog")["input_ids"]
        )


def test_a_prompt_is_a_prefix_of_prompt_and_answer(saved: Path) -> None:
    """What `evaluate.translation` and label scoring rely on."""
    tokenizer = loaded(saved)
    prompt = corpus.translation_prompt([("le chat dort", "the cat sleeps")], "fr", "en", "l'oiseau")
    start = tokenizer(prompt)["input_ids"]
    assert tokenizer(f"{prompt} the bird{EOS}")["input_ids"][: len(start)] == start


def test_start_token(saved: Path) -> None:
    """XGLM's tokenizer puts </s> in front, BLOOM's and GPT-2's put nothing."""
    tokenizer = loaded(saved)
    first = tokenizer("the dog")["input_ids"][0]
    assert (first == tokenizer.eos_token_id) == (load_config(saved).family == "xglm")


def test_saved_folder_loads_with_the_same_weights(saved: Path) -> None:
    config = load_config(saved)
    assert config == train.nano_config(config.family, config.vocab_size)
    restored = load(saved).params
    jax.tree.map(np.testing.assert_array_equal, restored, init(config, 0))


def test_vocabulary_is_the_same_for_the_same_seed(saved: Path) -> None:
    again = vocabulary.build(load_config(saved).family, documents=1000)
    assert again.backend_tokenizer.to_str() == loaded(saved).backend_tokenizer.to_str()


def test_weights_follow_the_parts() -> None:
    document = Document("nli", (("the dog , right?", 0.25), (f" Yes , the dog{EOS}", 1.0)))
    tokenizer = trained("xglm")
    encoded = tokenizer(document.text, return_offsets_mapping=True)
    weights = packing.token_weights(document, encoded["offset_mapping"])
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    answer = tokens.index("▁Yes")
    assert weights == [0.0] + [0.25] * (answer - 1) + [1.0] * (len(tokens) - answer)
    assert tokens[-1] == EOS


def test_rows_are_full_and_start_with_a_document(saved: Path) -> None:
    tokenizer = loaded(saved)
    texts = [Document("x", ((f"the dog sleeps{EOS}", w),)) for w in (0.5, 1.0, 2.0, 3.0)] * 3
    ids = tokenizer(texts[0].text)["input_ids"]
    length = 2 * len(ids) - 1
    rows = list(packing.rows(iter(texts), tokenizer, length))
    assert len(rows) == 6
    for tokens, weights in rows:
        assert tokens.tolist() == (ids * 2)[:length]
        assert len(weights) == length


def test_loss_falls_and_the_same_recipe_gives_the_same_bits() -> None:
    tokenizer = trained("gpt2")
    recipe = Recipe(steps=9, rows=4, length=48, warmup=2)
    lines: list[str] = []
    _, first = train.train("gpt2", recipe, tokenizer, log=lines.append, every=3)
    _, second = train.train("gpt2", recipe, tokenizer, log=lambda _: None)
    losses = [float(line.split("loss ")[1].split()[0]) for line in lines if "loss" in line]
    assert len(losses) == 3
    assert losses[-1] < losses[0] - 0.5
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_loss_is_the_weighted_mean_over_targets() -> None:
    config = train.nano_config("bloom", 50)
    params = init(config, 0)
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 50, (2, 17)).astype(np.int32)
    weights = rng.random((2, 17), np.float32)
    logits = jax.jit(forward, static_argnums=0)(config, params, jnp.asarray(tokens))
    logits = np.asarray(logits, np.float64)
    total = 0.0
    for row in range(2):
        for t in range(1, 17):  # the logits before a token predict it
            before = logits[row, t - 1]
            total += weights[row, t] * (np.log(np.exp(before).sum()) - before[tokens[row, t]])
    expected = total / weights[:, 1:].sum()
    found = jax.jit(train.loss, static_argnums=1)(params, config, tokens, weights)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_muon_takes_the_kernels_only() -> None:
    config = train.nano_config("gpt2", 100)
    params = jax.eval_shape(lambda: init(config, 0))
    chosen = train.kernels(params)
    flat = {"/".join(path): leaf for path, leaf in flatten_dict(chosen).items()}
    assert flat.keys() == {"/".join(path) for path in flatten_dict(params)}
    assert {path for path, leaf in flat.items() if leaf is not None} == {
        f"blocks/{name}/kernel" for name in ("attention/qkv", "attention/out", "mlp/up", "mlp/out")
    }


def test_unknown_architecture() -> None:
    with pytest.raises(InputError, match=r"'t5'.*xglm, bloom, gpt2"):
        train.nano_config("t5", 100)
