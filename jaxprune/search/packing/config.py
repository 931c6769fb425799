"""The config of the command pack."""

import dataclasses
import re

from jaxprune.base.errors import InputError
from jaxprune.base.schema import config_record, is_text, rule
from jaxprune.data.config import SEED
from jaxprune.data.languages import languages_field
from jaxprune.pruning.quantization import size_field
from jaxprune.recovery.config import minutes_field

_LOSS = 0.03
# A loss that is called out where only the size is limited.
_MUCH = 0.1
_PERCENT = re.compile(r"(\d+\.?\d*|\.\d+)\s*%")
_FOLDER = "a folder of <language>.txt or .jsonl"


def _share(loss: str) -> float:
    match = _PERCENT.fullmatch(loss.strip())
    if match is None or not 0 < float(match[1]) <= 100:
        raise ValueError
    return float(match[1]) / 100


@config_record
class PackConfig:
    """The settings of a packing; the flags of `jaxprune pack` have their names."""

    model: str = rule(
        "a hub id or a Hugging Face folder",
        is_text,
        required=True,
        meaning="the dense model: hub id or Hugging Face folder",
    )
    languages: tuple[str, ...] = languages_field("the languages to keep", required=True)
    text: str | None = rule(
        _FOLDER,
        is_text,
        meaning=f"{_FOLDER}: plain text in these languages, at least 400 lines of each; without it the model writes "
        "text itself",
    )
    heldout: str | None = rule(
        _FOLDER,
        is_text,
        meaning=f"{_FOLDER}: other text, on which losses are measured; by default the last fifth of each text",
    )
    size: int | None = size_field(
        "size of model.gguf at most; the loss is then as small as it can be"
    )
    loss: float | None = rule(
        "a share such as 3%, above 0% and up to 100%",
        is_text,
        meaning="bits per byte that any language may lose; model.gguf is then as small as it can be (default: 3%)",
        parse=_share,
        write=lambda share: f"{100 * share:g}%",
    )
    recover: float | None = minutes_field("minutes of distillation after rounding (default: none)")
    seed: int = SEED

    def check_alternatives(self) -> None:
        """Rejects two limits; raises InputError."""
        if self.size is not None and self.loss is not None:
            raise InputError("--loss: set with --size; set one of them")

    def same_job(self) -> "PackConfig":
        """The config by which packings are compared: the default limit counts as not set."""
        return dataclasses.replace(self, loss=None) if self.loss == _LOSS else self

    @property
    def largest_loss(self) -> float:
        """The share of bits per byte that a language may lose; with `size`, the loss that is called out."""
        return self.loss or (_LOSS if self.size is None else _MUCH)
