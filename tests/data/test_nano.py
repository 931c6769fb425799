"""The short name "nano": a folder of the package for each use, and an order of languages."""

from pathlib import Path

import pytest

import jaxprune
from jaxprune.data.nano import NANO_LANGUAGES, text_place
from jaxprune.data.texts import chosen_languages

BUNDLED = Path(jaxprune.__file__).parent / "nano"


@pytest.mark.parametrize("use", ["calibration", "perplexity", "translation"])
def test_nano_is_a_folder_with_a_file_for_each_language(use):
    for name in ("nano", Path("nano")):
        place = text_place(name, use)
        assert place == BUNDLED / use
        assert {file.stem for file in place.iterdir()} == set(NANO_LANGUAGES)


def test_anything_else_is_itself(tmp_path):
    (tmp_path / "nano").mkdir()
    for data in (tmp_path / "nano", "owner/nano", "xnli"):
        assert text_place(data, "calibration") == data


def test_languages_of_nano_have_an_order_of_their_own():
    assert chosen_languages(None, "nano", "en") == ["en", "fr", "es", "de", "sw"]
    assert chosen_languages(None, "nano", "fr") == ["fr", "en", "es", "de", "sw"]
    assert chosen_languages(("sw", "de"), "nano", "fr") == ["sw", "de"]


def test_languages_of_a_folder_are_those_that_it_has(tmp_path):
    for name in ("sw.txt", "fr.txt", "en.txt", "notes.txt"):
        (tmp_path / name).touch()
    assert chosen_languages(None, tmp_path, "en") == ["en", "fr", "sw"]
    assert chosen_languages(None, "openlanguagedata/flores_plus", "en")[0] == "en"
