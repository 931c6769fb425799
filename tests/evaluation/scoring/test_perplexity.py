"""Perplexity against torch on the same windows; texts and refusals."""

import json
import math
from importlib.resources import files

import numpy as np
import pytest
import torch
from torch_scores import token_scores
from transformers import AutoModelForCausalLM

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.evaluation.scoring import forest
from jaxprune.evaluation.scoring.perplexity import perplexity, texts, windows_of
from jaxprune.evaluation.scoring.scorer import Scorer, TokenScores
from nano import corpus

NANO = files("jaxprune").joinpath("nano", "checkpoints")


@pytest.fixture(scope="module")
def scorer():
    return Scorer(jp.load(str(NANO / "gpt2")), progress=False)


@pytest.fixture(scope="module")
def network(scorer):
    folder = scorer.model.folder
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def test_a_text_shorter_than_a_window_is_one(scorer, network, monkeypatch):
    monkeypatch.setattr(forest, "MIN_LENGTH", 512)  # a row as below, for which all is compiled
    text = "French: le chat dort</s>"
    tokens = scorer.model.tokenizer(text)["input_ids"]
    found = perplexity(scorer, text)
    assert found.tokens == len(tokens) - 1
    expected, _ = token_scores(network, tokens)
    assert found.perplexity == pytest.approx(math.exp(-expected.mean()), rel=1e-4)


class Saying:
    """In place of a scorer: every token has the same log-probability."""

    def __init__(self, name, said):
        self.model, self.said = jp.load(str(NANO / name)), said

    def __call__(self, windows, name):
        lengths = [len(window) - 1 for window in windows]
        return [TokenScores(np.full(n, self.said, np.float32), np.zeros(n, bool)) for n in lengths]


@pytest.mark.wrong_types
def test_a_model_without_bound_takes_windows_of_512():
    scorer = Saying("bloom", -2.5)
    text = texts("nano", ["en"], 120)["en"]
    size = len(scorer.model.tokenizer(text)["input_ids"])
    found = perplexity(scorer, text)
    assert found.tokens == size // 512 * 511
    assert found.perplexity == pytest.approx(math.exp(2.5))
    assert [len(window) for window in windows_of(scorer.model, [5] * 1024)] == [512, 512]


class Seeing(Saying):
    """Keeps the windows that it is given."""

    def __call__(self, windows, name):
        self.windows = windows
        return super().__call__(windows, name)


@pytest.mark.wrong_types
@pytest.mark.parametrize(("name", "first"), [("xglm", 2), ("bloom", None)])
def test_windows_of_xglm_begin_as_its_texts(name, first):
    scorer = Seeing(name, -2.5)
    perplexity(scorer, texts("nano", ["en"], 120)["en"])
    assert len(scorer.windows) > 1
    assert {window[0] == first for window in scorer.windows} == {first is not None}


def test_windows_are_scored_alone_and_split_into_parts_of_the_text(scorer, network):
    """What is left over after the last window does not count. A token is of the line that its first character is in."""
    text = texts("nano", ["fr"], 90)["fr"]
    found = perplexity(scorer, text)
    offsets = scorer.model.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    tokens = scorer.model.tokenizer(text)["input_ids"]
    width = min(512, scorer.model.config.max_positions)
    assert len(tokens) > 2 * width
    assert len(tokens) % width > 0
    lines = [f"{line}</s>" for line in text.removesuffix("</s>").split("</s>")]
    line_of = np.repeat(np.arange(90), [len(line) for line in lines])  # of each character
    expected = np.zeros((9, 2))
    for start in range(0, len(tokens) // width * width, width):
        scores, _ = token_scores(network, tokens[start : start + width])
        for i, score in enumerate(scores, 1):
            run = line_of[offsets[start + i][0]] // 10
            expected[run] += [score, 1]
    expected = expected[expected[:, 1] > 0]
    np.testing.assert_allclose(found.part_sums, expected[:, 0], rtol=1e-4)
    np.testing.assert_array_equal(found.part_tokens, expected[:, 1])
    assert found.part_sums.sum() == pytest.approx(found.total)
    assert (found.part_tokens.sum(), found.part_bytes.sum()) == (found.tokens, found.bytes)
    # within a window, which leaves out its first token alone, a part has the bytes of its ten lines
    whole = sum(len(line.encode()) for line in lines[10:20])
    assert found.part_bytes[1] == whole - sum(
        len(text[slice(*offsets[i])].encode())
        for i in range(0, len(tokens), width)
        if 10 <= line_of[offsets[i][0]] < 20
    )
    assert found.part_values.mean() == pytest.approx(-math.log(found.perplexity))
    without = perplexity(scorer, str(text))
    assert (without.total, len(without.part_sums)) == (found.total, 1)


@pytest.mark.wrong_types
@pytest.mark.parametrize("repeats", [1, 40])
def test_bits_per_byte_against_the_bytes_of_byte_level_tokens(repeats):
    """A character of such a token is a byte, also where tokens share a character of the text."""
    text = "chat été 😀 кот 猫.\n" * repeats
    scorer = Seeing("bloom", -2.5)
    found, tokenizer = perplexity(scorer, text), scorer.model.tokenizer
    predicted = [token for window in scorer.windows for token in window[1:]]
    size = sum(map(len, tokenizer.convert_ids_to_tokens(predicted)))
    # at most one character is cut by the beginning of each window
    assert size - 3 * len(scorer.windows) < found.bytes <= size + 3 * len(scorer.windows)
    assert repeats > 1 or found.bytes == size == len(text.encode()) - len("ch")
    assert found.bits_per_byte == pytest.approx(2.5 / math.log(2) * len(predicted) / found.bytes)


@pytest.mark.wrong_types
def test_bytes_of_a_tokenizer_that_begins_with_a_bos_are_those_of_the_text():
    text = "  le chat dort, кот спит 猫"
    assert perplexity(Saying("xglm", -1.0), text).bytes == len(text.encode())


def test_parts_are_the_documents_of_an_index(tmp_path):
    (tmp_path / "fr.txt").write_text("un\ndeux\ntrois\nquatre\n")
    assert texts(str(tmp_path), None, None)["fr"].starts == (0,)
    index = tmp_path / "index.tsv"
    index.write_text("line\tdocument\n0\tbbc.1\n1\tbbc.1\n2\tzeit.2\n3\tbbc.1\n")
    text = texts(str(tmp_path), None, None)["fr"]
    assert [text[start:].split("\n")[0] for start in text.starts] == ["un", "trois", "quatre"]
    assert texts(str(tmp_path), None, None, "1-2")["fr"].starts == (0, len("deux\n"))
    for broken in ("document\na\nb\nc\n", "line\tdocument\n0\ta\n1\n2\tb\n3\tb\n"):
        index.write_text(broken)
        with pytest.raises(InputError, match=r"index.tsv: . lines under the header; expected 4, o"):
            texts(str(tmp_path), None, None)
    index.write_bytes(b"line\tdocument\r\n0\ta\r\n1\ta\r\n2\tb\r\n3\tb\r\n")
    assert texts(str(tmp_path), None, None)["fr"].starts == (0, len("un\ndeux\n"))
    index.write_text("line\tdomain\n0\tnews\n")  # names no documents
    assert texts(str(tmp_path), None, None)["fr"].starts == (0,)


@pytest.mark.parametrize("text", ["", "a"])
def test_a_text_without_a_prediction_is_refused(scorer, text):
    with pytest.raises(InputError, match=r"fr: a text of [01] tokens; expected at least 2"):
        perplexity(scorer, text, "fr")


@pytest.mark.wrong_types
def test_a_broken_model_is_told_and_a_hopeless_one_has_a_number():
    with pytest.raises(InputError, match="the model returns NaN"):
        perplexity(Saying("gpt2", np.nan), "le chat")
    assert math.isfinite(perplexity(Saying("gpt2", -1e6), "le chat").perplexity)


def test_texts_of_a_folder(tmp_path):
    (tmp_path / "fr.txt").write_text("un\n\ndeux\u2028trois\n", encoding="utf-8")
    (tmp_path / "en.txt").write_text("one\ntwo", encoding="utf-8-sig")
    (tmp_path / "de.txt").write_bytes(b"eins\r\n")
    assert texts(str(tmp_path), None, None) == {
        "en": "one\ntwo", "de": "eins", "fr": "un\n\ndeux\u2028trois",
    }  # fmt: skip
    assert list(texts(str(tmp_path), None, None)) == ["en", "de", "fr"]
    assert texts(str(tmp_path), ["fr", "en"], 1) == {"fr": "un", "en": "one"}
    assert texts(str(tmp_path), ["fr"], 1, "1-2") == {"fr": "\ndeux\u2028trois"}
    with pytest.raises(
        InputError, match=r"perplexity_lines: got '1-2'; .*en has 2 lines; expected up to 1$"
    ):
        texts(str(tmp_path), None, None, "1-2")
    with pytest.raises(InputError, match=r"no language 'sw'; there are en de fr$"):
        texts(str(tmp_path), ["sw"], None)
    (tmp_path / "fr.txt").write_bytes(b"un\n\xff")
    with pytest.raises(InputError, match=r"fr.txt:2: byte 3 is not UTF-8"):
        texts(str(tmp_path), None, None)
    for place in (tmp_path / "none", tmp_path / "fr.txt"):
        with pytest.raises(InputError, match=r"evaluation.perplexity: got .*; expected a folder"):
            texts(str(place), None, None)


def test_texts_of_a_folder_of_rows_are_joined_as_they_are(tmp_path):
    for code, words in (("de", ["eins", "zwei"]), ("en", ["one</s>", " two\n", "three"])):
        lines = [json.dumps({"text": word, "source": 1}) for word in words]
        (tmp_path / f"{code}.jsonl").write_text("\n".join(lines))
    assert texts(str(tmp_path), None, None) == {"en": "one</s> two\nthree", "de": "einszwei"}
    assert list(texts(str(tmp_path), None, None)) == ["en", "de"]
    assert texts(str(tmp_path / "{lang}.jsonl"), ["en"], 2) == {"en": "one</s> two\n"}
    with pytest.raises(InputError, match=r"no language 'fr'; there are en de$"):
        texts(str(tmp_path), ["fr"], None)
    (tmp_path / "de.jsonl").write_text('{"text": "eins"}\n{"txt": "zwei"}\n')
    with pytest.raises(InputError, match=r"de.jsonl:2: no field 'text'; there are txt"):
        texts(str(tmp_path), None, None)
    (tmp_path / "fr.txt").write_text("un")  # plain text goes first
    assert texts(str(tmp_path), None, None) == {"fr": "un"}


@pytest.mark.parametrize("count", [3, None])
def test_texts_of_nano_have_the_form_of_its_documents(count):
    by_language = texts("nano", None, count)
    assert list(by_language) == ["en", "fr", "es", "de", "sw"]
    for code, name in (("sw", "Swahili"), ("fr", "French")):
        lines = corpus.sentences(code, "held_out", count or 1000)
        assert by_language[code] == "".join(f"{name}: {line}</s>" for line in lines)
