"""Few-shot translation: sentences → prompts → hypotheses, as for XNLI in the paper.

A prompt is a calibration sample with an open end and the same demonstrations for every sentence:
"French: …</s>English: …</s> … French: {sentence}</s>English:". The hypothesis is the generated text up to eos or a
line break.
"""

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.data.arrangements import paired, prompts, sample_lines
from jaxprune.data.config import SentenceFields
from jaxprune.data.languages import language
from jaxprune.data.nano import text_place
from jaxprune.data.texts import aligned, chosen_languages
from jaxprune.evaluation.generation.generator import Generator
from jaxprune.evaluation.tasks.data import Source
from jaxprune.evaluation.tasks.questions import load_task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NEW_TOKENS = 128
XNLI = ("xnli", "facebook/xnli")


class Pair(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


@dataclasses.dataclass(frozen=True)
class Sentences:
    """Sentences of one language, and the demonstrations of their prompts.

    Attributes:
      source, target: ISO 639-1 codes.
      demonstrations: at the start of every prompt.
      pairs: sentences to translate, and their references.
    """

    source: str
    target: str
    demonstrations: list[Pair]
    pairs: list[Pair]


def read_sentences(
    data: str, source: str, calibration: SentenceFields, *, rows: int | None, seed: int
) -> Sentences:
    """Reads demonstrations and sentences of one language, without overlap.

    Args:
      data: sentences to translate. A folder or pattern of XNLI's .jsonl or .csv, or "xnli" for the hub's:
        its premises and hypotheses, each once. Otherwise as in `texts.sentences`: a folder of
        `<language>.txt`, FLORES-200, a hub data set id; "nano": 1,000 sentences outside the training text
        of the bundled models.
      source: ISO 639-1 code, not of the target language.
      calibration: the target language; the location, the lines and the number of the demonstrations.
      rows: number of sentences to translate, from the first that is not a demonstration; None: all.
      seed: seed of the choice of demonstrations.

    Raises:
      InputError: unreadable or too few data.
      OSError: the hub cannot be reached.
    """
    target, shots = calibration.target, calibration.shots
    lines = _lines(calibration.data, source, target, "calibration.data", calibration.lines)
    chosen = sample_lines(len(lines), "translation", shots, 1, seed, "corrected")[0]
    demonstrations = [lines[row] for row in chosen]
    demonstrated = {sentence for pair in demonstrations for sentence in pair}
    pairs = [
        pair
        for pair in _pairs(data, source, target)
        if pair.source not in demonstrated and pair.target not in demonstrated
    ]
    if rows is not None and len(pairs) < rows:
        raise InputError(
            f"evaluation.translation_rows: got {rows}; {data} has {len(pairs)} besides the demonstrations"
        )
    if not pairs:
        raise InputError(f"{data}: no sentences besides the demonstrations")
    return Sentences(source, target, demonstrations, pairs[:rows])


def _lines(
    data: str | Path, source: str, target: str, field: str, lines: str | None = None
) -> list[Pair]:
    texts = aligned(data, [source, target], lines, field=field)
    return [Pair(*sentences) for sentences in zip(*texts, strict=True)]


def _pairs(data: str | Path, source: str, target: str) -> list[Pair]:
    data = text_place(data, "translation")
    nli = _nli_source(data)
    if nli is None:
        return _lines(data, source, target, "evaluation.translation")
    source_rows, target_rows = (nli.read(code) for code in (source, target))
    if len(source_rows) != len(target_rows):
        raise InputError(
            f"{data}: {source} has {len(source_rows)} rows and {target} has {len(target_rows)}; "
            "row i must have the same meaning in both"
        )
    pairs = [
        Pair(row.text(field).strip(), translation.text(field).strip())
        for row, translation in zip(source_rows, target_rows, strict=True)
        for field in ("premise", "hypothesis")
    ]
    return list(dict.fromkeys(pairs))  # three rows have the same premise


def _nli_source(data: str | Path) -> Source | None:
    """The rows of an NLI data set; None if `data` contains plain sentences."""
    if str(data) in XNLI:
        return load_task("xnli").source
    source = Source(str(data))
    if source.is_pattern and not source.by_language:
        raise invalid_value("evaluation.translation", str(data), "{lang} in it, for the language")
    return source if source.is_files else None


def languages(data: str | Path, target: str = "en") -> list[str]:
    """The source languages of `data`: of XNLI or of its files, otherwise as `chosen_languages`."""
    source = _nli_source(data)
    if source is None:
        codes = chosen_languages(None, data, target)
    else:  # XNLI on the hub lists none
        codes = sorted(source.languages() or load_task("xnli").languages)
    return [code for code in codes if code != target]


def translation_prompts(sentences: Sentences, eos: str) -> list[str]:
    """The prompt of each sentence."""
    shown, codes = sentences.demonstrations, [sentences.source, sentences.target]
    lines = [[pair.source for pair in shown], [pair.target for pair in shown]]
    beginning = prompts(lines, codes, paired(np.arange(len(shown))[None]), eos)[0]
    names = [language(code).name for code in codes]
    return [f"{beginning}{names[0]}: {pair.source}{eos}{names[1]}:" for pair in sentences.pairs]


@functools.lru_cache(maxsize=1)  # decodes each token of the vocabulary, for all languages
def stop_tokens(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Tokens that end a translation: eos, and every token with a line break."""
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    breaks = {token for token, text in enumerate(texts) if "\n" in text}
    return sorted(breaks | {int(tokenizer.eos_token_id)})


def hypothesise(
    generator: Generator, sentences: Sentences, new_tokens: int = NEW_TOKENS
) -> list[str]:
    """The model's translation of each sentence, of at most `new_tokens`, without surrounding white space.

    Raises:
      InputError: no tokenizer, or one without eos; prompts too long for the model.
    """
    tokenizer = generator.model.tokenizer
    if not tokenizer.eos_token:
        raise InputError("the tokenizer has no eos_token, which ends each sentence of a prompt")
    texts = translation_prompts(sentences, str(tokenizer.eos_token))
    continuations = generator(
        tokenizer(texts)["input_ids"],
        max_new_tokens=new_tokens,
        stop=stop_tokens(tokenizer),
        name=f"translate {sentences.source}-{sentences.target}",
    )
    return [str(tokenizer.decode(ids, skip_special_tokens=True)).strip() for ids in continuations]
