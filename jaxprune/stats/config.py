"""The fields that every command reads, and the fields `calibration.*` of statistics: their combination, saved ones."""

from collections.abc import Iterable
from typing import Any

from jaxprune.base.errors import InputError
from jaxprune.base.schema import choice, config_record, is_text, rule, text, texts_of
from jaxprune.data.config import COMPAT, SEED, SampleFields, TextFields
from jaxprune.hf.model import Model, load
from jaxprune.stats.blocks import DTYPE
from jaxprune.stats.combinations import COMBINATIONS, SUM
from jaxprune.stats.mixture import weights_of


@config_record
class JobConfig:
    """The fields that every command reads; the config of a command adds groups."""

    model: str = rule(
        "a hub id, a local Hugging Face folder or a GGUF file",
        is_text,
        required=True,
        meaning="the model to prune or evaluate",
    )
    tokenizer: str | None = text(
        None,
        "a folder or hub id",
        "for a GGUF file the model whose config.json and tokenizer it has; not set: `hf` beside the file",
    )
    revision: str | None = text(
        None, "a branch, tag or commit of the hub id", "branch, tag or commit"
    )
    dtype: str = DTYPE
    compat: str = COMPAT
    seed: int = SEED

    def open_model(self) -> Model:
        """The model; raises as `load`."""
        return load(self.model, self.revision, tokenizer=self.tokenizer)

    def json(self) -> dict[str, Any]:
        """The content of config.json: the fields by group, sorted by name."""
        return texts_of(self)


@config_record
class MixedTextFields(TextFields):
    """The fields `calibration.*` of samples whose statistics are combined."""

    combine: str = choice(
        COMBINATIONS,
        SUM.name,
        "how the statistics of several languages, which are measured separately, are combined: "
        + ", ".join(f"`{c.name}`, {c.meaning}" for c in COMBINATIONS.values()),
    )
    weights: tuple[tuple[str, float], ...] | None = rule(
        "a weight for each language, as fr:2,sw:1, or a .json file with {language: weight}",
        is_text,
        meaning="weights of languages, as `fr:2,sw:1` or a .json file, with `calibration.combine=weights`",
        parse=weights_of,
        write=lambda weights: ",".join(f"{code}:{weight!r}" for code, weight in weights),
    )


@config_record
class CalibrationFields(SampleFields, MixedTextFields):
    """All fields `calibration.*`, of statistics for pruning."""

    stats: str | None = text(
        None,
        "a finished run, or a folder of jaxprune.checkpoint.save_stats",
        "saved statistics of the dense model in place of samples and passes, with `pruning.propagate=dense`",
    )


# The fields that are read beside `stats`; the others describe samples, which have been measured already.
_WITH_STATS = ("stats", "combine", "weights")


def check_with_stats(names: Iterable[str]) -> None:
    """Rejects fields that are set beside `calibration.stats` and not read with it.

    Args:
      names: the fields of `calibration.*` that are set.

    Raises:
      InputError: names the field.
    """
    for name in names:
        if name not in _WITH_STATS:
            raise InputError(
                f"calibration.{name}: not read with calibration.stats, whose samples are measured already; remove it"
            )


def only_with_stats(calibration: CalibrationFields) -> CalibrationFields:
    """Only the fields that are read beside `calibration.stats`; those of samples have their defaults."""
    return CalibrationFields(**{name: getattr(calibration, name) for name in _WITH_STATS})
