import sys
import types

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from jaxprune.base.errors import InputError
from jaxprune.data.batches import SetKey, set_tokens
from jaxprune.data.languages import language
from jaxprune.data.texts import aligned, code_samples, sentences
from jaxprune.stats.calibration_sets import demonstrations, token_batches

LINES = 30


def line(code, number):
    """Of its own length in every language, so that samples differ in length."""
    return " ".join(f"{code}{number}w{word}" for word in range(2 + number * (3 + len(code)) % 11))


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "aligned"
    folder.mkdir()
    for code in ("fr", "en", "sw"):
        text = "".join(line(code, number) + "\n" for number in range(LINES))
        (folder / f"{code}.txt").write_text(text, encoding="utf-8")
    return folder


def make_tokenizer(side="right", bos=True, **special):
    """Byte-pair tokenizer with the special tokens of XGLM: `</s>` in front of every text."""
    core = Tokenizer(models.BPE())
    core.decoder = decoders.ByteLevel()
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator((line("fr", number) for number in range(LINES)), trainer)
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single="</s> $A", special_tokens=[("</s>", core.token_to_id("</s>"))]
        )
    special = {"eos_token": "</s>", "pad_token": "<pad>", **special}
    return PreTrainedTokenizerFast(tokenizer_object=core, padding_side=side, **special)


def texts_of(tokenizer, batches):
    """The decoded samples, in sample order."""
    rows = [
        (sample, tokenizer.decode(tokens[valid]))
        for batch in batches
        for sample, tokens, valid in zip(batch.samples, batch.tokens, batch.valid, strict=True)
    ]
    return [text for _, text in sorted(rows)]


def test_corrected_translations_are_consecutive_rows_of_a_seeded_permutation(data):
    tokenizer = make_tokenizer()
    batches = demonstrations(tokenizer, data, shots=2, samples=15, seed=3)
    order = np.random.default_rng(3).permutation(LINES)
    expected = [
        "</s>"
        + "".join(
            f"French: {line('fr', row)}</s>English: {line('en', row)}</s>"
            for row in order[2 * sample : 2 * sample + 2]
        )
        for sample in range(15)
    ]
    assert texts_of(tokenizer, batches) == expected
    assert {batch.role for batch in batches} == {"translation"}
    assert sorted(np.concatenate([batch.samples for batch in batches])) == list(range(15))


def test_corrected_batches_hold_real_tokens_left_justified_on_either_padding_side(data):
    sets = []
    for side in ("left", "right"):
        tokenizer = make_tokenizer(side)
        batches = demonstrations(tokenizer, data, shots=4, samples=7, max_length=64)
        for batch in batches:
            assert (np.diff(batch.valid.astype(int), axis=1) <= 0).all()
            assert batch.valid[:, 0].all()
            assert batch.tokens.shape[1] <= 64
        sets.append(batches)
    for left, right in zip(*sets, strict=True):
        np.testing.assert_array_equal(left.tokens, right.tokens)


@pytest.mark.parametrize("kind", ["monolingual", "translation"])
@pytest.mark.parametrize("compat", ["corrected", "official"])
def test_sources_take_turns_and_each_has_the_samples_that_it_has_alone(data, kind, compat):
    tokenizer = make_tokenizer(bos=False)
    (data / "de.txt").write_text("".join(line("de", number) + "\n" for number in range(LINES)))
    how = {"kind": kind, "shots": 2, "samples": 10, "compat": compat, "seed": 5}
    alone = {
        code: texts_of(tokenizer, demonstrations(tokenizer, data, source=code, **how))
        for code in ("sw", "fr", "de")
    }
    batches = demonstrations(tokenizer, data, source="sw,fr,de", **how)
    mixed = texts_of(tokenizer, batches)
    assert mixed == texts_of(tokenizer, demonstrations(tokenizer, data, source="sw+fr+de", **how))
    assert mixed == [alone[("sw", "fr", "de")[i % 3]][i] for i in range(10)]
    assert [sum("Swahili" in text for text in mixed), sum("French" in text for text in mixed)] == [
        4, 3,
    ]  # fmt: skip
    names = {"sw": "Swahili", "fr": "French", "de": "German"}
    of_rows = {}
    for batch in batches:
        for sample, code in zip(batch.samples, batch.languages, strict=True):
            of_rows[int(sample)] = code
            assert names[code] in mixed[sample]
    assert len(of_rows) == 10


def test_samples_are_of_the_lines_that_are_named(data):
    tokenizer = make_tokenizer(bos=False)
    how = {"kind": "monolingual", "source": "sw", "target": "sw", "shots": 2, "samples": 5}
    batches = demonstrations(tokenizer, data, lines="10-19", seed=2, **how)
    order = 10 + np.random.default_rng(2).permutation(10)
    assert texts_of(tokenizer, batches) == [
        "".join(f"Swahili: {line('sw', row)}</s>" for row in pair) for pair in order.reshape(5, 2)
    ]
    assert {batch.role for batch in batches} == {"monolingual"}


def authors_translations(tokenizer, shots, samples, max_length):
    """The authors' get_mt, said again: a row is skipped after each sample, the pads stay."""
    row, encoded = 0, []
    for _ in range(samples):
        prompt = ""
        for _ in range(shots):
            prompt += f"French: {line('fr', row)}{tokenizer.eos_token}"
            prompt += f"English: {line('en', row)}{tokenizer.eos_token}"
            row += 1
        row += 1
        encoded.append(
            tokenizer([prompt], padding="max_length", truncation=True, max_length=max_length)
        )
    return np.concatenate([np.array(entry["input_ids"]) for entry in encoded])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("max_length", [48, 700])
def test_official_translations_are_the_authors(data, side, max_length):
    tokenizer = make_tokenizer(side)
    (batch,) = demonstrations(
        tokenizer, data, shots=4, samples=6, max_length=max_length, seed=5, compat="official"
    )
    expected = authors_translations(tokenizer, 4, 6, max_length)
    np.testing.assert_array_equal(batch.tokens, expected)
    assert (expected == tokenizer.pad_token_id).any() == (max_length == 700)
    assert batch.valid.all()
    np.testing.assert_array_equal(batch.samples, np.arange(6))


def test_official_monolingual_samples_are_shuffled_without_gaps(data):
    tokenizer = make_tokenizer("left")
    (batch,) = demonstrations(
        tokenizer, data, kind="monolingual", shots=3, samples=10, seed=7, compat="official"
    )
    order = np.random.default_rng(7).permutation(LINES)
    prompts = [
        "".join(f"French: {line('fr', row)}</s>" for row in order[start : start + 3])
        for start in range(0, LINES, 3)
    ]
    encoded = tokenizer(prompts, padding="max_length", truncation=True, max_length=512)
    np.testing.assert_array_equal(batch.tokens, encoded["input_ids"])
    assert batch.role == "monolingual"


def test_official_pads_with_eos_where_there_is_no_pad_token(data):
    tokenizer = make_tokenizer(pad_token=None)
    (batch,) = demonstrations(tokenizer, data, samples=1, max_length=600, compat="official")
    assert (batch.tokens[0, -20:] == tokenizer.eos_token_id).all()
    assert tokenizer.pad_token_id is None


def test_translation_vs_code_gives_both_sets(data, tmp_path):
    code = tmp_path / "code"
    (code / "inner").mkdir(parents=True)
    for number in range(6):
        (code / "inner" / f"m{number}.py").write_text(f"x = {number}\n", encoding="utf-8")
    tokenizer = make_tokenizer(bos=False)
    batches = demonstrations(tokenizer, data, kind="translation_vs_code", code=code, samples=5)
    roles = [batch.role for batch in batches]
    assert roles == sorted(roles, reverse=True)
    assert set(roles) == {"translation", "code"}
    order = np.random.default_rng(0).permutation(6)
    read = texts_of(tokenizer, [batch for batch in batches if batch.role == "code"])
    assert read == [f"x = {number}\n" for number in order[:5]]
    real = {"code": 0, "translation": 0}
    for batch in batches:
        assert {*batch.languages} == ({"fr"} if batch.role == "translation" else set())
        real[batch.role] += int(batch.valid.sum())
    assert set_tokens(batches) == {
        SetKey("translation", "fr"): real["translation"],
        SetKey("code"): real["code"],
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 8}, r"30 lines make 7 samples of 4 shots, not 8; .* up to 7"),
        ({"samples": 7, "compat": "official"}, "30 lines make 6 samples"),
        ({"kind": "translations"}, r"calibration.kind: .*did you mean translation\?"),
        ({"kind": "tokens"}, "token_batches"),
        ({"kind": "translation_vs_code"}, "calibration.code: not set"),
        ({"target": "fr"}, "calibration.target: got 'fr', the source"),
        ({"source": "fr,xx"}, "calibration.source: got 'fr,xx'; .*, each once, as fr,ru,sw"),
        ({"source": "fr,sw,fr"}, "calibration.source: got 'fr,sw,fr'; .*, each once"),
        ({"source": "nb,no"}, "calibration.source: got 'nb,no'; nb and no are the same text"),
        (
            {"source": "fr,sw", "samples": 3, "kind": "unpaired"},
            "got 3; expected 4 or more for fr,sw",
        ),
        ({"source": "fr,en"}, "calibration.target: got 'en', one of the sources fr,en"),
        ({"lines": "9-8"}, "calibration.lines: got '9-8'; expected the first and the last line"),
        ({"lines": "20-30"}, "calibration.lines: got '20-30'; .* has 30 lines; expected up to 29"),
        ({"source": "de"}, "no language 'de'; there are en fr sw"),
    ],
)
def test_arguments_that_are_refused(data, arguments, message):
    with pytest.raises(InputError, match=message):
        demonstrations(make_tokenizer(), data, **{"samples": 3, **arguments})


def test_tokenizers_that_are_refused(data):
    with pytest.raises(InputError, match="no tokenizer"):
        demonstrations(None, data, samples=3)
    with pytest.raises(InputError, match="no eos_token"):
        demonstrations(make_tokenizer(eos_token=None), data, samples=3)


def test_a_tokenizer_that_makes_nothing_of_a_sample_is_refused(data):
    core = Tokenizer(models.BPE())  # without a vocabulary, every text is unknown
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    tokenizer.eos_token = "<|end|>"
    with pytest.raises(InputError, match="translation: sample 0 has no tokens"):
        demonstrations(tokenizer, data, samples=3)


# Token files


def save_npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_token_files_are_batched_and_justified(tmp_path):
    ids = np.array([[0, 0, 5, 6], [7, 8, 9, 1]], dtype=np.int32)
    mask = np.array([[0, 0, 1, 1], [1, 1, 1, 1]])
    code = np.array([[3, 4]], dtype=np.int32)
    path = save_npz(tmp_path / "t.npz", input_ids=ids, attention_mask=mask, code_ids=code)
    tokens, code_batch = token_batches(path)
    assert (tokens.role, code_batch.role) == ("tokens", "code")
    np.testing.assert_array_equal(tokens.tokens[:, :4], [[5, 6, 0, 0], [7, 8, 9, 1]])
    np.testing.assert_array_equal(tokens.valid.sum(axis=1), [2, 4])
    np.testing.assert_array_equal(code_batch.tokens[code_batch.valid], [3, 4])


def test_official_token_files_stay_as_they_are_and_pads_count(tmp_path):
    ids = np.array([[0, 0, 5, 6], [7, 8, 9, 1]], dtype=np.int64)
    path = save_npz(tmp_path / "t.npz", input_ids=ids, attention_mask=(ids > 0).astype(int))
    (batch,) = token_batches(path, compat="official")
    np.testing.assert_array_equal(batch.tokens, ids)
    assert batch.tokens.dtype == np.int32
    assert batch.valid.all()


def test_token_files_that_are_refused(tmp_path):
    ids = np.ones((2, 3), dtype=np.int32)
    for arrays, message in (
        ({"tokens": ids}, "contains tokens; expected input_ids"),
        ({"input_ids": ids, "attention_masks": ids}, "contains attention_masks, input_ids"),
        ({"input_ids": ids * 0.5}, "t.npz: input_ids: got float64"),
        ({"input_ids": ids, "code_ids": ids[0]}, r"t.npz: code_ids: got int32 of shape \(3,\)"),
        ({"input_ids": ids - [[1], [2]]}, "t.npz: input_ids: row 1 has -1; expected ids from 0"),
        (
            {"input_ids": ids, "code_ids": ids.astype(np.int64) + 2**32},
            "code_ids: row 0 has 4294967297",
        ),
        ({"input_ids": np.array([[{}]], dtype=object)}, "damaged, or no .npz of plain arrays"),
    ):
        with pytest.raises(InputError, match=message):
            token_batches(save_npz(tmp_path / "t.npz", **arrays))
    with pytest.raises(InputError, match="no file"):
        token_batches(tmp_path / "nothing.npz")


# Texts


def test_a_flores_release_is_read_by_either_generation_of_its_codes(tmp_path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "fra_Latn.dev").write_text("un\u2028deux \r\ntrois\n", encoding="utf-8")
    (tmp_path / "dev" / "cmn_Hans.dev").write_text("\ufeff一\n二", encoding="utf-8")
    assert aligned(tmp_path, ["fr", "zh"]) == [["un\u2028deux", "trois"], ["一", "二"]]
    with pytest.raises(InputError, match="no language 'sw'; there are fr zh"):
        sentences(tmp_path, "sw")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one\n\nthree\n", r"fr.txt:2: empty line"),
        ("é\n".encode() + b"\xff\n", r"fr.txt:2: byte 3 is not UTF-8"),
        (b"one\n", "fr has 1 lines and en has 2"),
    ],
)
def test_texts_that_are_refused(tmp_path, content, message):
    (tmp_path / "fr.txt").write_bytes(content)
    (tmp_path / "en.txt").write_bytes(b"one\ntwo\n")
    with pytest.raises(InputError, match=message):
        aligned(tmp_path, ["fr", "en"])


def test_places_that_hold_no_texts(tmp_path):
    with pytest.raises(InputError, match=r"contains neither <language>.txt nor"):
        sentences(tmp_path, "fr")
    with pytest.raises(InputError, match="no language 'zh'; there are de en es fr sw"):
        sentences("nano", "zh")
    for missing in (tmp_path / "nothing" / "there", "./owner/name", "nothing"):
        with pytest.raises(InputError, match="no folder"):
            sentences(missing, "fr")


class Rows(list):
    """As much of datasets.Dataset as is used."""

    column_names = property(lambda self: list(self[0]))

    def __getitem__(self, key):
        return [row[key] for row in self] if isinstance(key, str) else super().__getitem__(key)


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for the datasets library with one gated and two open sets."""
    plus = {"fra_Latn": ["un", "deux "], "cmn_Hans": ["一", "二"]}
    module = types.ModuleType("datasets")
    module.exceptions = types.SimpleNamespace(DatasetsError=type("DatasetsError", (Exception,), {}))

    def load_dataset(name, config=None, split=None):
        if name == "owner/gated":
            raise FileNotFoundError("Dataset 'owner/gated' is a gated dataset\non the Hub.")
        if name == "owner/unreachable":
            raise ConnectionError("Couldn't reach it")
        if name == "owner/broken":
            raise module.exceptions.DatasetsError("columns differ")
        if name == "owner/code":
            return Rows({"content": f"print({number})"} for number in range(5))
        texts = plus["fra_Latn" if split == "train" else config]
        return Rows({"id": number, "text": text} for number, text in enumerate(texts))

    def get_dataset_config_names(name):
        if name in ("owner/gated", "owner/unreachable", "owner/broken"):
            load_dataset(name)
        return list(plus)

    module.load_dataset = load_dataset
    module.get_dataset_config_names = get_dataset_config_names
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_hub_sets_are_read_by_language(hub):
    assert aligned("owner/plus", ["fr", "zh"]) == [["un", "deux"], ["一", "二"]]
    with pytest.raises(InputError, match="owner/plus: no language 'sw'; there are fr zh"):
        sentences("owner/plus", "sw")
    with pytest.raises(InputError, match=r"a gated dataset on the Hub. \(if it is gated: accept"):
        sentences("owner/gated", "fr")
    with pytest.raises(ConnectionError, match="no such folder, and the hub cannot be reached"):
        sentences("owner/unreachable", "fr")
    with pytest.raises(InputError, match="owner/broken: columns differ"):
        sentences("owner/broken", "fr")


def test_a_local_copy_of_a_hub_set_is_read_as_one(hub, tmp_path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "fra_Latn.parquet").touch()
    assert sentences(tmp_path, "fr") == ["un", "deux"]


def test_hub_code_is_chosen_by_the_permutation_of_the_authors_shuffle(hub):
    order = np.random.default_rng(4).permutation(5)
    assert code_samples("owner/code", 3, seed=4) == [f"print({row})" for row in order[:3]]


def test_hub_sets_without_the_columns_are_refused(hub):
    with pytest.raises(InputError, match="owner/plus: columns id text; expected content"):
        code_samples("owner/plus", 3, seed=4)
    with pytest.raises(InputError, match="owner/code: columns content; expected text or sentence"):
        sentences("owner/code", "fr")


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    for read in (lambda: sentences("owner/plus", "fr"), lambda: code_samples("owner/code", 3, 0)):
        with pytest.raises(InputError, match=r"owner/\w+ is no folder; .*pip install datasets"):
            read()


def test_code_files_that_are_blank_or_not_utf8_are_passed_over(tmp_path):
    for name, content in (
        ("a.py", b"a = 1"),
        ("b.py", b" \n"),
        ("c.py", b"\xff\xfe"),
        ("d.txt", b"d = 1"),
        ("e/f.py", b"f = 1"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for seed in range(5):
        assert sorted(code_samples(tmp_path, 2, seed)) == ["a = 1", "f = 1"]
    with pytest.raises(
        InputError, match=r"contains 4 Python files, 2 of them .*calibration.samples is 3"
    ):
        code_samples(tmp_path, 3, 0)


def test_the_paper_s_languages_are_named_as_in_the_authors_prompts():
    names = {
        "ar": ("Arabic", "arb_Arab"),
        "bg": ("Bulgarian", "bul_Cyrl"),
        "de": ("German", "deu_Latn"),
        "el": ("Greek", "ell_Grek"),
        "en": ("English", "eng_Latn"),
        "es": ("Spanish", "spa_Latn"),
        "fr": ("French", "fra_Latn"),
        "hi": ("Hindi", "hin_Deva"),
        "ru": ("Russian", "rus_Cyrl"),
        "sw": ("Swahili", "swh_Latn"),
        "th": ("Thai", "tha_Thai"),
        "tr": ("Turkish", "tur_Latn"),
        "ur": ("Urdu", "urd_Arab"),
        "vi": ("Vietnamese", "vie_Latn"),
        "zh": ("Chinese", "zho_Hans"),
    }
    assert {code: (language(code).name, language(code).flores[0]) for code in names} == names


@pytest.mark.parametrize(
    ("code", "hint"), [("French", "fr"), ("fra_Latn", "fr"), ("swahili", "sw"), ("cmn_Hans", "zh")]
)
def test_unknown_languages_hint_at_the_code(code, hint):
    with pytest.raises(InputError, match=rf"did you mean {hint}\?"):
        language(code)
