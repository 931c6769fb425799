"""The fields of a run: their defaults, what passes, and that in words for messages."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxprune.languages import LANGUAGES
from jaxprune.patterns import keep_of


@dataclass(frozen=True)
class Field:
    """A field of the config.

    Attributes:
      default: None where it is not set; the config then holds a placeholder of type `kind`.
      allowed: what passes, in words, for messages.
      passes: the test of a value.
      choices: all values that pass, where they can be listed.
    """

    default: str | int | float | bool | None
    allowed: str
    passes: Callable[[Any], bool]
    choices: tuple[str, ...] = ()
    kind: type = str


def _choice(*names: str) -> Field:
    return Field(names[0], ", ".join(names), lambda value: value in names, names)


def _flag(default: bool) -> Field:
    return Field(default, "true or false", lambda value: isinstance(value, bool))


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _integer(default: int, least: int) -> Field:
    allowed = f"an integer of at least {least}"
    return Field(default, allowed, lambda value: _is_int(value) and value >= least)


def _count() -> Field:
    return Field(
        None,
        "an integer of at least 1",
        lambda value: value is None or (_is_int(value) and value >= 1),
        kind=int,
    )


def _text(default: str | None, allowed: str, *, optional: bool = False) -> Field:
    return Field(
        default,
        allowed,
        lambda value: (optional and value is None) or (isinstance(value, str) and bool(value)),
    )


def _language(default: str) -> Field:
    codes = tuple(LANGUAGES)
    return Field(default, "a language code such as fr", lambda value: value in codes, codes)


def _is_sparsity(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or (number and 0 <= value < 1)  # type: ignore[operator]


def _is_codes(value: object) -> bool:
    codes = value.split(",") if isinstance(value, str) else ()
    known = all(re.fullmatch(r"\w[\w-]*", code) for code in codes)
    return value is None or (0 < len(codes) == len({*codes}) and known)


def _is_languages(value: object) -> bool:
    codes = value.split(",") if isinstance(value, str) else ()
    return value is None or (0 < len(codes) == len({*codes} & {*LANGUAGES}))


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1


def _is_sparsities(value: object) -> bool:
    names = value.split(",") if isinstance(value, str) else []
    numbers = [float(name) for name in names if re.fullmatch(r"0?\.\d+", name)]
    return 0 < len(names) == len({*numbers}) and all(0 < number < 1 for number in numbers)


# Of scripts/sweep.py; "dense" is the model as it is, "lrp2" moves its hidden states.
SWEEP_CALIBRATIONS = (
    "dense", "random", "magnitude", "monolingual", "translation", "translation_vs_code", "lrp2",
)  # fmt: skip


def _is_calibrations(value: object) -> bool:
    names = value.split(",") if isinstance(value, str) else ()
    return 0 < len(names) == len({*names} & {*SWEEP_CALIBRATIONS})


_PROTOCOLS = ("paper", "official", "lm_eval")


def _is_pattern(value: object) -> bool:
    return value == "unstructured" or (isinstance(value, str) and keep_of(value) is not None)


FIELDS: Mapping[str, Field] = {
    # The model to prune.
    "model": _text(None, "a hub id or a local Hugging Face folder"),
    "revision": _text(None, "a branch, tag or commit of the hub id", optional=True),
    # Of the weights on the device; statistics are always float32.
    "dtype": _choice("float32", "bfloat16"),
    # "official" does what the authors' code does where that differs from their paper.
    "compat": _choice("corrected", "official"),
    # Of random masks, shuffles and the bootstrap.
    "seed": _integer(0, 0),
    # What is fed through the model: the paper's 100 samples of 4 pairs, cut at 512 tokens.
    "calibration.kind": _choice("translation", "monolingual", "translation_vs_code", "tokens"),
    "calibration.source": _language("fr"),
    "calibration.target": _language("en"),
    "calibration.shots": _integer(4, 1),
    "calibration.samples": _integer(100, 1),
    "calibration.max_length": _integer(512, 2),
    # See texts.sentences and texts.code_samples.
    "calibration.data": _text(
        "openlanguagedata/flores_plus",
        "a folder of <language>.txt, a FLORES-200 release, a hub data set id, an .npz (for tokens)",
    ),
    "calibration.code": _text(None, "a folder of .py files or a hub data set id", optional=True),
    "pruning.criterion": _choice("wanda", "refined", "magnitude", "random"),
    # Not set: 0.3, or what an N:M pattern makes it.
    "pruning.sparsity": Field(None, "a number s with 0 <= s < 1", _is_sparsity, kind=float),
    "pruning.pattern": Field(
        "unstructured", "unstructured, or N:M such as 2:4 or 4:8 (keep N of every M)", _is_pattern
    ),
    "pruning.threshold": _choice("row", "variant"),
    "pruning.drop": _choice("lowest", "highest"),
    # What feeds the next statistics: outputs of pruned blocks, one dense pass, or pruned sites.
    "pruning.propagate": _choice("block", "dense", "site"),
    # What is written besides masks and report. "params" puts all parameters into the checkpoint, for
    # which they must fit into host memory at once; "hf" is written block by block.
    "output.params": _flag(False),
    "output.hf": _flag(True),
    "output.figures": _flag(False),
    # Of scripts/analyze.py. Languages not set: those of the data, see texts.chosen_languages.
    "analysis.languages": Field(None, "codes such as fr,de,sw, each once", _is_languages),
    # The share of features that count as largest and as smallest.
    "analysis.top": Field(0.3, "a share s with 0 < s <= 1", _is_share),
    "analysis.masks": _text(None, "workdirs of pruning runs, as runs/fr,runs/sw", optional=True),
    # Of scripts/evaluate.py; see docs/evaluation.md. Tasks and plain text are in any language that
    # has a code, so the codes need not be in jaxprune.languages.
    "evaluation.tasks": Field(
        "xnli",
        "names of ready tasks or .toml files with commas between, or nothing",
        lambda value: isinstance(value, str),
    ),
    "evaluation.languages": Field(None, "codes such as fr,de,sw, each once", _is_codes),
    # Not set: what `compat` says.
    "evaluation.protocol": Field(
        None,
        "paper, official, lm_eval",
        lambda value: value in (None, *_PROTOCOLS),
        _PROTOCOLS,
    ),
    "evaluation.rows": _count(),
    "evaluation.data": _text(
        None, "a folder or pattern of .jsonl or .csv files, or a hub data set id", optional=True
    ),
    "evaluation.perplexity": _text(None, "a folder of <language>.txt, or nano", optional=True),
    # Sentences to translate into calibration.target, how many of each language, and with how many beams.
    "evaluation.translation": _text(
        None, "xnli, nano, or a folder or hub data set id of sentences", optional=True
    ),
    "evaluation.translation_rows": _count(),
    "evaluation.beams": _integer(1, 1),
    # Whether the weights stay on the devices; auto: where they fit.
    "evaluation.weights": _choice("auto", "resident", "streamed"),
    # Of scripts/sweep.py; see docs/sweep.md. Languages not set: those of the calibration data.
    "sweep.sparsities": Field(
        "0.3", "numbers between 0 and 1, each once, as 0.3,0.5", _is_sparsities
    ),
    "sweep.calibrations": Field(
        "dense,random,monolingual,translation,lrp2",
        f"some of {', '.join(SWEEP_CALIBRATIONS)}, with commas between, each once",
        _is_calibrations,
    ),
    "sweep.languages": Field(None, "codes such as fr,de,sw, each once", _is_languages),
    # Devices along each axis.
    "mesh.data": Field(
        -1,
        "a number of groups of devices, or -1 for as many as there are",
        lambda value: _is_int(value) and (value == -1 or value > 0),
    ),
    "mesh.model": Field(
        1,
        "a number of devices that share a block, or -1 for all",
        lambda value: _is_int(value) and (value == -1 or value > 0),
    ),
}
