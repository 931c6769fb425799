"""The fields of a run: defaults, what is allowed, and which of them go together.

All about one field stands in its entry of FIELDS: `base_config` builds the config from them, and
`validate` and the command line take their messages from them.
"""

import difflib
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict, FrozenConfigDict
from ml_collections.config_dict import placeholder

from jaxprune.errors import InputError
from jaxprune.languages import LANGUAGES, language
from jaxprune.patterns import DEFAULT_SPARSITY, keep_of


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
    # Of scripts/analyze.py. Languages not set: those of the data, see analyze.chosen_languages.
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
    "evaluation.rows": Field(
        None,
        "an integer of at least 1",
        lambda value: value is None or (_is_int(value) and value >= 1),
        kind=int,
    ),
    "evaluation.data": _text(
        None, "a folder or pattern of .jsonl or .csv files, or a hub data set id", optional=True
    ),
    "evaluation.perplexity": _text(None, "a folder of <language>.txt, or nano", optional=True),
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
    # Sentences that are translated into calibration.target, and how many of each language.
    "sweep.translation": _text(
        None, "xnli, nano, or a folder or hub data set id of sentences", optional=True
    ),
    "sweep.translation_rows": Field(
        None,
        "an integer of at least 1",
        lambda value: value is None or (_is_int(value) and value >= 1),
        kind=int,
    ),
    # Devices along each axis.
    "mesh.data": Field(
        -1,
        "a number of devices, or -1 for all",
        lambda value: _is_int(value) and (value == -1 or value > 0),
    ),
    "mesh.model": Field(
        1, "1, as a block has to fit one device", lambda value: _is_int(value) and value == 1
    ),
}


def base_config() -> ConfigDict:
    """Every field with its default. `model` is not set."""
    config = ConfigDict()
    for path, field in FIELDS.items():
        group, _, name = path.rpartition(".")
        parent = config.get(group) if group else config
        if parent is None:
            parent = config[group] = ConfigDict()
        parent[name] = placeholder(field.kind) if field.default is None else field.default
    return config


def pick(argument: str | None, sizes: Mapping[str, str], default: str) -> str:
    """The model that a config file's argument names, as 3b in `configs/bloom.py:3b`.

    Raises:
      InputError: there is no such size; lists those there are.
    """
    name = default if argument is None else argument
    if name not in sizes:
        hint = _close(name, sizes)
        raise InputError(f"config argument: got {name!r}; allowed: {', '.join(sizes)}{hint}")
    return sizes[name]


def check(path: str, value: object) -> None:
    """Refuses a value that the field does not allow.

    Args:
      path: of the field, such as "pruning.sparsity".

    Raises:
      InputError: names the field, what it got and what is allowed.
    """
    field = FIELDS[path]
    if not field.passes(value):
        got = "not set" if value is None else f"got {value!r}"
        raise InputError(f"{path}: {got}; allowed: {field.allowed}{_close(value, field.choices)}")


def unknown_field(path: str) -> InputError:
    """The error for a field that does not exist; hints at the closest one that does."""
    names = {name.rpartition(".")[2]: name for name in FIELDS}
    close = difflib.get_close_matches(path, FIELDS, n=1) or [
        names[name] for name in difflib.get_close_matches(path.rpartition(".")[2], names, n=1)
    ]
    group = [name for name in FIELDS if name.startswith(f"{path}.")]
    hint = f"; its fields are {', '.join(group)}" if group else ""
    if close and not group:
        hint = f"; did you mean {close[0]}?"
    return InputError(f"{path}: no such field{hint}")


def _close(value: object, choices: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(value), list(choices), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def validate(config: ConfigDict, *, prunes: bool = True) -> FrozenConfigDict:
    """The config that a run goes by: checked, immutable, `pruning.sparsity` filled in.

    Args:
      prunes: whether the run prunes; only then have `calibration` and the criterion to go together.

    Raises:
      InputError: a field that is unknown, missing or out of range, or fields that contradict each
        other. One line that names the field, what it got and what is allowed.
    """
    given = dict(_leaves(config))
    for path in given:
        if path not in FIELDS:
            raise unknown_field(path)
    for path in FIELDS:
        if path not in given:
            raise InputError(f"{path}: missing; begin with jaxprune.config.base_config()")
        check(path, given[path])
    resolved = ConfigDict(config.to_dict())
    resolved.pruning.sparsity = _resolve_sparsity(config.pruning)
    _check_pruning(resolved.pruning)
    if prunes and resolved.pruning.criterion in ("wanda", "refined"):
        _check_calibration(resolved)
    return FrozenConfigDict(resolved)


def _leaves(config: ConfigDict, prefix: str = "") -> Iterable[tuple[str, object]]:
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _resolve_sparsity(pruning: ConfigDict) -> float:
    groups = keep_of(pruning.pattern)
    if groups is None:
        return DEFAULT_SPARSITY if pruning.sparsity is None else float(pruning.sparsity)
    implied = 1 - groups[0] / groups[1]
    if pruning.sparsity is not None and abs(pruning.sparsity - implied) > 1e-6:
        raise InputError(
            f"pruning.sparsity: got {pruning.sparsity}; "
            f"allowed: {implied:g}, which pruning.pattern {pruning.pattern} makes it"
        )
    return implied


def _check_pruning(pruning: ConfigDict) -> None:
    if pruning.threshold == "variant" and pruning.pattern != "unstructured":
        raise InputError(
            f"pruning.threshold: got 'variant'; allowed: row, with pattern {pruning.pattern}"
        )


def check_languages(kind: str, source: str, target: str) -> None:
    """Refuses an unknown kind or language, and a translation into its own source.

    Raises:
      InputError: names the field and what it got.
    """
    check("calibration.kind", kind)
    check("calibration.source", source)
    if kind == "monolingual":
        return
    check("calibration.target", target)
    same_text = set(language(source).flores) & set(language(target).flores)
    if source == target or same_text:
        raise InputError(
            f"calibration.target: got {target!r}, the source; allowed: another language"
        )


def _check_calibration(config: ConfigDict) -> None:
    calibration = config.calibration
    kind = calibration.kind
    if config.pruning.criterion == "refined" and kind not in ("translation_vs_code", "tokens"):
        raise InputError(
            f"calibration.kind: got {kind!r}; allowed: translation_vs_code or tokens, as "
            "pruning.criterion refined compares with code"
        )
    if kind == "tokens":
        arrays = _npz_names(calibration.data)
        if config.pruning.criterion == "refined" and "code_ids" not in arrays:
            raise InputError(
                f"calibration.data: {calibration.data} holds {' '.join(sorted(arrays))}; "
                "pruning.criterion refined needs code_ids as well"
            )
        return
    check_languages(kind, calibration.source, calibration.target)
    if kind == "translation_vs_code" and calibration.code is None:
        allowed = FIELDS["calibration.code"].allowed
        raise InputError(f"calibration.code: not set; kind {kind} needs it; allowed: {allowed}")


def _npz_names(path: str) -> set[str]:
    try:
        with zipfile.ZipFile(Path(path).expanduser()) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (FileNotFoundError, IsADirectoryError, zipfile.BadZipFile):
        raise InputError(
            f"calibration.data: {path!r} is not an .npz file, which kind tokens needs"
        ) from None
