"""config.json of a Hugging Face folder → its attributes, each read, required to have a value, ignored or rejected."""

import json
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.base.errors import InputError, listed, quoted, shown
from jaxprune.base.files.outside import parse_json

# Attributes that transformers knows and that do not change the logits of a causal language model: bookkeeping,
# training, generation, implementation. Attributes that transformers does not know need no entry.
IRRELEVANT = frozenset(
    Path(__file__).with_name("irrelevant_attributes.txt").read_text("utf-8").split()
)
# The other attributes that transformers reads, by model type; "all": for all of these types. The file is generated.
RELEVANT: Mapping[str, Sequence[str]] = json.loads(
    Path(__file__).with_name("transformers_attributes.json").read_text("utf-8")
)
# The defaults of transformers' config classes, by model type, except None. Also generated.
DEFAULTS: Mapping[str, Mapping[str, Any]] = json.loads(
    Path(__file__).with_name("transformers_defaults.json").read_text("utf-8")
)
# Attributes of models with quantised weights: of transformers, of its early compressed tensors, and of MLX.
QUANTISED = ("quantization_config", "compression_config", "quantization")


class Attributes:
    """The attributes of one config.json, each read, required to have a value, ignored or rejected.

    Null counts as absent. An attribute that the family does not read is ignored if transformers neither knows nor
    reads it for this model type (`RELEVANT`; for a type that is not listed, it may read any), or if it does not change
    logits; otherwise it is rejected by name.

    Args:
      raw: the table of the file.
      where: name of the file in errors.
      model_type: the model type of the config.
      defaults: the defaults of transformers' config class of that type.
    """

    def __init__(
        self,
        raw: Mapping[str, Any],
        where: str,
        model_type: str,
        defaults: Mapping[str, Any] = types.MappingProxyType({}),
    ) -> None:
        self._raw = dict(raw)
        self._where = where
        self.model_type = model_type
        self._defaults = defaults
        self._seen: set[str] = set()

    def take(self, name: str, kind: type, *aliases: str, default: Any = ...) -> Any:
        """The value of `name`, checked to be a `kind`.

        Args:
          name: the first spelling for this model type.
          kind: a float is finite and above 0, and may be written as an int.
          aliases: other spellings; rejected if their values differ.
          default: value for absent or null attributes, if transformers' class has no default. An int that is null gets
            this default, never that of the class: transformers rejects the null or gives it a meaning.
        """
        self._seen.update((name, *aliases))
        value = self._spelled(name, aliases)
        is_present = any(spelling in self._raw for spelling in (name, *aliases))
        if value is None and not (kind is int and is_present):
            value = self._defaults.get(name)
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

    def has_default(self, name: str) -> bool:
        """True if transformers' class has a default for `name`."""
        return name in self._defaults

    def is_null(self, name: str) -> bool:
        """True if `name` is present and null, which for some attributes differs from absent."""
        self._seen.add(name)
        return name in self._raw and self._raw[name] is None

    def _spelled(self, name: str, aliases: Sequence[str]) -> Any:
        """The value that all present spellings have."""
        spelled = [(n, v) for n in (name, *aliases) if (v := self._raw.get(n)) is not None]
        for other, value in spelled[1:]:
            first, wanted = spelled[0]
            if value != wanted:
                raise self.refuse(
                    f"{first}={shown(wanted)} and {other}={shown(value)} are two spellings of one attribute; "
                    "expected the same value, or one of them"
                )
        return spelled[0][1] if spelled else None

    def size(self, name: str, *aliases: str, default: Any = ..., least: int = 1) -> Any:
        """An integer from `least` to 2**31 - 1; None only as the `default`."""
        value = self.take(name, int, *aliases, default=default)
        if value is not None and not least <= value < 2**31:
            bound = f"{least} or more" if value < least else "less than 2**31"
            raise InputError(f"{self._where}: {name} is {shown(value)}, expected {bound}")
        return value

    def require(self, name: str, allowed: Sequence[Any]) -> None:
        """Rejects by name any value of `name` other than those allowed, absent and null."""
        self._seen.add(name)
        value = self._raw.get(name)
        if value is not None and value not in allowed:
            raise InputError(
                f"{self._where}: {name}={shown(value)} is not supported, only {', '.join(map(shown, allowed))}"
            )

    def part(
        self,
        name: str,
        raw: Mapping[str, Any],
        defaults: Mapping[str, Any] = types.MappingProxyType({}),
    ) -> "Attributes":
        """The attributes of a table in the config; the caller must also call its `finish`."""
        return Attributes(raw, f"{self._where}: {name}", self.model_type, defaults)

    def refuse(self, message: str) -> InputError:
        """An error whose message begins with the file."""
        return InputError(f"{self._where}: {message}")

    def require_causal(self) -> None:
        """Rejects models other than causal language models with plain weights and transformers' own code."""
        if self._raw.get("auto_map") is not None:
            raise self.refuse(
                "auto_map: the model needs custom code, which is never run; "
                "expected a model of transformers' own code"
            )
        for name in QUANTISED:
            if (table := self._raw.get(name)) is not None:
                method = table.get("quant_method") if isinstance(table, dict) else None
                raise self.refuse(
                    f"{name}: the weights are quantised ({quoted(method or 'unknown')}): dequantise first"
                )
        self.require("is_causal", [True])
        names = self.take("architectures", list, default=[])
        if names and not any(self._has_head(name) for name in names):
            raise self.refuse(
                f"architectures={shown(names)} is not a causal language model; "
                "expected …ForCausalLM, …LMHeadModel, or a base model with a tied head"
            )

    def _has_head(self, architecture: object) -> bool:
        """True if checkpoints of a class contain a language model's head; those of a base model do if it is tied."""
        name = str(architecture)
        if name.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
            return True
        base = name.lower() == f"{self.model_type.replace('_', '')}model"
        return base and self.take("tie_word_embeddings", bool, default=True)

    def finish(self) -> None:
        """Rejects unread attributes that may change the logits of transformers."""
        names = [name for name, value in self._raw.items() if value is not None]
        refused = set(names) - self._seen - IRRELEVANT
        if self.model_type in RELEVANT:
            refused &= {*RELEVANT["all"], *RELEVANT[self.model_type]}
        if refused:
            raise InputError(f"{self._where}: unsupported attributes: {listed(sorted(refused))}")


def read_config(folder: Path) -> tuple[dict[str, Any], str]:
    """The attributes of a folder's `config.json`, and its path; InputError if it is missing or malformed."""
    path = folder / "config.json"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"{folder}: no config.json; expected a Hugging Face model folder"
        ) from None
    raw = parse_json(content, str(path))
    if (folder / "hf" / "config.json").exists():
        raise InputError(f"{folder}: the workdir of a run; give its model, {folder / 'hf'}")
    if not isinstance(raw, dict) or not isinstance(raw.get("model_type"), str):
        raise InputError(f"{path}: expected a JSON object with model_type")
    return raw, str(path)
