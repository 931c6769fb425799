"""Lists of frequent words of the library wordfreq → texts by language."""

import importlib

from jaxprune.base.errors import InputError


def frequent_words(language: str, count: int) -> list[str]:
    """The most frequent words of a language, each at the beginning of a text and after a space, in lower case and with
    a capital; empty for a language without a list.

    Raises:
      InputError: wordfreq is not installed.
    """
    try:
        wordfreq = importlib.import_module("wordfreq")
    except ImportError:
        raise InputError("shrink.words: needs wordfreq; run pip install wordfreq") from None
    if language not in wordfreq.available_languages():
        return []
    words = wordfreq.top_n_list(language, count)
    forms = [form for word in words for form in (word, word.capitalize())]
    return [*dict.fromkeys(f"{space}{form}" for form in forms for space in ("", " "))]
