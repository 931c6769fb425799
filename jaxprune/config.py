"""The config of a run, made of `fields.py`: checked, and which fields go together.

All about one field stands in its entry of FIELDS: `base_config` builds the config from them, and
`validate` and the command line take their messages from them.
"""

import difflib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ml_collections import ConfigDict, FrozenConfigDict
from ml_collections.config_dict import placeholder

from jaxprune.errors import InputError
from jaxprune.fields import FIELDS
from jaxprune.languages import language
from jaxprune.patterns import DEFAULT_SPARSITY, keep_of


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


def paper_sweep(model: str) -> ConfigDict:
    """The sweep that makes the paper's tables 1 to 4 for a model, with the languages of its figures."""
    config = base_config()
    config.model = model
    config.output.hf = False
    config.evaluation.tasks = "xnli,marc2"
    config.evaluation.translation = "xnli"
    config.sweep.sparsities = "0.3"
    config.sweep.calibrations = "dense,random,monolingual,translation,lrp2"
    config.sweep.languages = "en,fr,es,zh,hi,sw"
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
