"""config.json of a Hugging Face folder → its attributes, each to be read, required to have a value, or refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.errors import InputError, listed, shown
from jaxprune.files import parse_json, read_regular

# Attributes that leave the logits of a causal language model as they are: bookkeeping, training,
# generation. Everything that is neither here nor read by a family raises.
IRRELEVANT = frozenset(
    """
    architectures
    attention_dropout activation_dropout attn_pdrop attention_softmax_in_fp32 auto_map bad_words_ids
    begin_suppress_tokens bias_dropout_fusion bos_token_id chunk_size_feed_forward classifier_dropout
    decoder_start_token_id diversity_penalty do_sample dropout dtype early_stopping embd_pdrop
    encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty finetuning_task
    forced_bos_token_id forced_eos_token_id gradient_checkpointing hidden_dropout id2label init_std
    initializer_range is_decoder is_encoder_decoder is_llama_config label2id layerdrop length_penalty
    masked_softmax_fusion max_length min_length model_type n_ctx no_repeat_ngram_size
    num_beam_groups num_beams num_return_sequences offset_alibi output_attentions
    output_hidden_states output_scores pad_token_id prefix pretraining_tp problem_type
    remove_invalid_values repetition_penalty resid_pdrop return_dict return_dict_in_generate
    sep_token_id seq_length skip_bias_add skip_bias_add_qkv slow_but_exact
    summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj
    suppress_tokens task_specific_params temperature tf_legacy_loss tokenizer_class top_k top_p
    torch_dtype torchscript transformers.js_config transformers_version typical_p unk_token_id
    use_bfloat16 use_cache
    """.split()  # noqa: SIM905
)


class Attributes:
    """The attributes of one config.json, each to be read, required to have a value, or refused."""

    def __init__(self, raw: Mapping[str, Any], where: str) -> None:
        self._raw = dict(raw)
        self._where = where
        self._seen: set[str] = set()

    def take(self, name: str, kind: type, *aliases: str, default: Any = ...) -> Any:
        """The value of `name` (or of an alias), checked to be a `kind`; `default` where it is absent or null.

        A float is finite and above 0, and may be written as an int.
        """
        self._seen.update((name, *aliases))
        value = next((self._raw[n] for n in (name, *aliases) if self._raw.get(n) is not None), None)
        if value is None:
            if default is ...:
                raise InputError(f"{self._where}: {name} is missing")
            return default
        good = isinstance(value, kind) or (kind is float and isinstance(value, int))
        if not good or (kind is not bool and isinstance(value, bool)):
            raise InputError(f"{self._where}: {name} is {shown(value)}, expected {kind.__name__}")
        if kind is not float:
            return value
        if not 0 < value <= sys.float_info.max:
            raise InputError(f"{self._where}: {name} is {shown(value)}, expected a number above 0")
        return float(value)

    def has(self, name: str) -> bool:
        """Whether `name` is there, null or not."""
        return name in self._raw

    def is_null(self, name: str) -> bool:
        """Whether `name` is there and null, which for some attributes says something else than absence."""
        self._seen.add(name)
        return name in self._raw and self._raw[name] is None

    def size(self, name: str, *aliases: str, default: Any = ..., least: int = 1) -> int:
        """A whole number from `least` to 2**31 - 1."""
        value = self.take(name, int, *aliases, default=default)
        if not least <= value < 2**31:
            bound = f"{least} or more" if value < least else "less than 2**31"
            raise InputError(f"{self._where}: {name} is {shown(value)}, expected {bound}")
        return value

    def require(self, name: str, allowed: Sequence[Any]) -> None:
        """Refuses by name any value of `name` other than those handled; absent and null are handled."""
        self._seen.add(name)
        value = self._raw.get(name)
        if value is not None and value not in allowed:
            raise InputError(
                f"{self._where}: {name}={shown(value)} is not supported, only {', '.join(map(shown, allowed))}"
            )

    def part(self, name: str, raw: Mapping[str, Any]) -> Attributes:
        """Those of a table inside the config."""
        return Attributes(raw, f"{self._where}: {name}")

    def refuse(self, message: str) -> InputError:
        """An error that begins with the file."""
        return InputError(f"{self._where}: {message}")

    def finish(self) -> None:
        """Raises if an attribute was neither read nor known to be without effect."""
        left = set(self._raw) - self._seen - IRRELEVANT
        unknown = sorted(name for name in left if not name.startswith("_"))
        if unknown:
            raise InputError(f"{self._where}: attributes that are not handled: {listed(unknown)}")


def read_config(folder: Path) -> tuple[str, Attributes]:
    """`config.json` of a folder as (model_type, attributes); InputError where it is none."""
    path = folder / "config.json"
    try:
        content = read_regular(path)
    except FileNotFoundError:
        raise InputError(
            f"{folder}: no config.json; expected a Hugging Face model folder"
        ) from None
    raw = parse_json(content, str(path), broken="not JSON ({})", strict=False)
    if not isinstance(raw, dict) or not isinstance(raw.get("model_type"), str):
        raise InputError(f"{path}: expected a JSON object with model_type")
    return raw["model_type"], Attributes(raw, str(path))
