"""Small tokenizers of each kind, trained on a text in several scripts."""

import json

import transformers
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

LINES = [
    "the cat sleeps in the garden and the cats sleep there",
    "le chat dort dans le jardin, les chats dorment déjà",
    "кошка спит в саду, кошки спят там",
    "paka analala bustanini, paka wanalala hapo",
    "猫在花园里睡觉,猫们在那里睡觉",
    "القطة تنام في الحديقة",
    "naïve café — 100 km² … 👩‍👩‍👧 zusammen\u0301",
]
SPECIAL = ("<unk>", "<s>", "</s>", "<pad>", "<unused0>", "<|turn|>")
SIZE = 420


def _special(tokenizer):
    tokenizer.add_special_tokens([*SPECIAL])
    first = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", first)]
    )
    return tokenizer


def byte_level(**options):
    """As of GPT-2, BLOOM, Qwen; with ignore_merges as of Llama 3."""
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=[*SPECIAL], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(LINES, trainer)
    return _special(tokenizer)


def byte_fallback():
    """As of Gemma and Llama 2: unknown characters are bytes, spaces become ▁."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE + 100, special_tokens=[*SPECIAL, *bytes_], show_progress=False
    )
    tokenizer.train_from_iterator(LINES, trainer)
    rules = json.loads(tokenizer.to_str())
    rules["added_tokens"] = []  # the trainer also added the bytes as special tokens
    tokenizer = _special(Tokenizer.from_str(json.dumps(rules)))
    tokenizer.add_tokens(["\n", "\n\n", "<table>"])  # as Gemma has them
    return tokenizer


def unigram():
    """As of XGLM."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=[*SPECIAL], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(LINES, trainer)
    return _special(tokenizer)


KINDS = {
    "byte_level": byte_level,
    "ignore_merges": lambda: byte_level(ignore_merges=True),
    "byte_fallback": byte_fallback,
    "unigram": unigram,
}


def save(tokenizer, folder, **more):
    """Writes the tokenizer as transformers does."""
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        unk_token="<unk>", **more,
    ).save_pretrained(folder)  # fmt: skip
