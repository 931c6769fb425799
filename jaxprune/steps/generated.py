"""A model and languages → text that the model writes itself, for those who have none of their own."""

from collections.abc import Sequence

import numpy as np

from jaxprune.base.errors import InputError
from jaxprune.base.schema import checked
from jaxprune.data.batches import Batch
from jaxprune.data.config import TextFields
from jaxprune.data.demonstrations import vocabulary_digest
from jaxprune.data.languages import language
from jaxprune.data.samples import Samples
from jaxprune.evaluation.generation.generator import Generator
from jaxprune.hf.model import Model
from jaxprune.stats.grouping import grouped

KIND = "generated"


def generated_batches(
    model: Model,
    source: str | Sequence[str] = "fr",
    *,
    samples: int = 100,
    max_length: int = 512,
    seed: int = 0,
    progress: bool = True,
) -> list[Batch]:
    """Calibration batches of text that the model writes, in place of those of `jaxprune.demonstrations`.

    Each sample continues frequent words of its language by tokens drawn from the model's probabilities, up to
    `max_length` or the end mark. All weights are on the devices meanwhile.

    Args:
      source: ISO 639-1 code, or several as "fr,ru,sw" or a list: sample i is in language i mod n.
      samples: number of samples, over all languages.
      max_length: tokens of a sample, with the mark at its beginning.
      seed: seed of words and tokens; equal seeds write equal text on one machine.
      progress: show a bar.

    Returns:
      Batches with role "generated".

    Raises:
      InputError: an argument out of range; a language for which the package has no words, see
        `jaxprune/data/languages.tsv`; no tokenizer.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> batches = jp.generated_batches(model, "fr,sw", samples=4, max_length=32, progress=False)
      >>> sorted(batches[0].languages)
      ['fr', 'fr', 'sw', 'sw']
    """
    arguments = {"kind": KIND, "source": source, "samples": samples, "max_length": max_length}
    fields = checked(TextFields, arguments, "calibration.")
    return batches_of(model, fields, seed, progress=progress)


def batches_of(
    model: Model,
    fields: TextFields,
    seed: int,
    *,
    writer: Model | None = None,
    progress: bool = True,
) -> list[Batch]:
    """`generated_batches` for the fields `calibration.*`.

    Args:
      writer: the model that writes the text, which the tokenizer of `model` splits; by default `model`.
    """
    turns = tuple(fields.source[i % len(fields.source)] for i in range(fields.samples))
    texts = written_texts(writer or model, turns, fields.max_length, seed, progress=progress)
    encoded = model.tokenizer(texts, truncation=True, max_length=fields.max_length)["input_ids"]
    samples = Samples(
        role=KIND, sequences=[np.asarray(ids, np.int32) for ids in encoded], languages=turns,
        max_length=fields.max_length, vocabulary=vocabulary_digest(model.tokenizer),
    )  # fmt: skip
    return grouped([samples])


def written_texts(
    model: Model, languages: Sequence[str], tokens: int, seed: int, *, progress: bool = True
) -> list[str]:
    """A text that the model writes in each language.

    Args:
      languages: the language of each text.
      tokens: of a text at most, with the mark at its beginning.
      seed: seed of opening words and tokens.

    Raises:
      InputError: a language for which the package has no words; no tokenizer.
    """
    tokenizer = model.tokenizer
    if tokenizer is None:
        raise InputError("the model has no tokenizer, which generated text needs")
    prompts = []
    for number, code in enumerate(languages):
        openings = openings_of(code)
        words = openings[np.random.default_rng((seed, number, 1)).integers(len(openings))]
        prompts.append(tokenizer(words)["input_ids"])
    continued = Generator(model, progress=progress)(
        prompts,
        max_new_tokens=max(1, tokens - max(map(len, prompts))),
        stop=[tokenizer.eos_token_id],
        name="write text",
        seed=seed,
    )
    pairs = zip(prompts, continued, strict=True)
    return [
        str(tokenizer.decode([*prompt, *new], skip_special_tokens=True)) for prompt, new in pairs
    ]


def openings_of(code: str) -> tuple[str, ...]:
    """Frequent words with which texts of a language begin.

    Raises:
      InputError: the package has none.
    """
    if openings := language(code).openings:
        return openings
    raise InputError(
        f"the model has no words of {language(code).name} to begin a text with; expected text"
    )


def first_texts(model: Model, batches: Sequence[Batch]) -> dict[str, str]:
    """The text of the first sample of each language, by language."""
    rows = sorted(
        (int(number), code, tokens[valid])
        for batch in batches
        for number, code, tokens, valid in zip(
            batch.samples, batch.languages, batch.tokens, batch.valid, strict=True
        )
    )
    texts: dict[str, str] = {}
    for _, code, tokens in rows:
        if code not in texts:
            texts[code] = str(model.tokenizer.decode(tokens, skip_special_tokens=True))
    return texts
