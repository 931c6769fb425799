"""A tokenizer for each nano architecture, of the same kind as its big sisters have.

XGLM: Unigram over "▁" words, `</s>` in front of every text. BLOOM and GPT-2: byte-level BPE, so that
no text is unknown. All are trained on the corpus and saved for `transformers.AutoTokenizer`.
"""

from __future__ import annotations

import math
import string
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from nano import corpus
from nano.corpus import EOS

DOCUMENTS = 20_000
LONGEST = 512  # tokens; the positions that nano configs have
# Ids by position, as the big models have them (mGPT's "<|endoftext|>" is "</s>" here).
SPECIAL: dict[str, tuple[str, ...]] = {
    "xglm": ("<s>", "<pad>", EOS, "<unk>"),
    "bloom": ("<unk>", "<s>", EOS, "<pad>"),
    "gpt2": (EOS, "<pad>", "<unk>"),
}
BPE_SIZE = {"xglm": 1250, "bloom": 1400, "gpt2": 1400}  # 256 of the byte-level pieces are the bytes


def build(architecture: str, documents: int = DOCUMENTS) -> PreTrainedTokenizerFast:
    """Trains the tokenizer of an architecture ("xglm", "bloom", "gpt2") on so many documents."""
    texts = [document.text for document in islice(corpus.documents(), documents)]
    train = _unigram if architecture == "xglm" else _bytes
    tokenizer = train(texts, SPECIAL[architecture], BPE_SIZE[architecture])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=EOS if architecture == "gpt2" else "<s>",
        eos_token=EOS,
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=LONGEST,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def _lines(texts: list[str]) -> Iterator[str]:
    return (line for text in texts for line in text.split(EOS) if line)


def _words(texts: list[str]) -> Iterator[str]:
    """Every word, the square root of its count many times.

    English, which has the tasks, would else take most of the pieces, and Swahili, which has the
    most word forms, would fall to letters.
    """
    counts = Counter(word for line in _lines(texts) for word in line.split(" "))
    for word, count in sorted(counts.items()):
        yield from [word] * math.isqrt(count)


def _bytes(texts: list[str], special: tuple[str, ...], size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_words(texts), trainer)
    return tokenizer


def _unigram(texts: list[str], special: tuple[str, ...], size: int) -> Tokenizer:
    """Unigram with the pieces that a BPE uses and their frequencies.

    Trained straight on so small a language, Unigram ends in whole words and single letters.
    """
    words = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="always"), pre_tokenizers.Split(":", "isolated")]
    )
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = words
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False)
    bpe.train_from_iterator(_words(texts), trainer)
    used: Counter[str] = Counter()
    for encoding in bpe.encode_batch(list(_lines(texts))):
        used.update(encoding.tokens)
    used.update(dict.fromkeys(("▁", *string.printable[:94], *_letters(texts)), 1))
    total = sum(used.values())
    pieces = sorted(used.items(), key=lambda item: (-item[1], item[0]))
    scored = [(piece, 0.0) for piece in special]
    scored += [(piece, math.log(count / total)) for piece, count in pieces]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=special.index("<unk>")))
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens(list(special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{EOS} $A",
        pair=f"{EOS} $A {EOS} $B",
        special_tokens=[(EOS, special.index(EOS))],
    )
    return tokenizer


def _letters(texts: list[str]) -> list[str]:
    return sorted({letter for text in texts for letter in text if not letter.isspace()})
