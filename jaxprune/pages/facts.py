"""Config and report of a run → facts by name, the same on the card, the page and the terminal."""

import itertools
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.base.schema import Field, check, comma_separated, fields_of
from jaxprune.base.text import byte_size, count, percent, share_range
from jaxprune.base.workdir.reading import GGUF
from jaxprune.data.kinds import KINDS
from jaxprune.models.grids import GRIDS
from jaxprune.nano import MODELS
from jaxprune.pages.smaller_facts import smaller_facts
from jaxprune.pruning.allocations import allocation_of
from jaxprune.pruning.budget import UNSTRUCTURED
from jaxprune.pruning.methods import METHODS
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.roundings import ROUNDINGS
from jaxprune.recovery.config import DISTIL
from jaxprune.stats.combinations import COMBINATIONS
from jaxprune.steps.configs import (
    PruneConfig,
    QuantizeConfig,
    RecoverConfig,
    ShrinkConfig,
)

_VERSIONS = ("jaxprune", "jax", "numpy", "transformers")
_SHORT = (
    r"\w[\w.-]*(/\w[\w.-]*)?"  # a hub id or a name; other paths are private but for their last part
)
# Folders of the bundled models → their names, which are the same on every machine.
_BUNDLED = {folder: name for name, folder in MODELS.items()}
# The groups of fields that are facts, and the fields that are facts with their defaults, too.
_SHOWN = ("dtype", "compat", "seed", "pruning", "quantize", "calibration", "recovery")
_SAMPLE_FIELDS = tuple(
    f"calibration.{name}" for name in ("kind", "source", "target", "data", "samples")
)
_ALWAYS = (
    *("pruning.criterion", "pruning.sparsity", "pruning.propagate", "recovery.how"),
    *("quantize.grid", "quantize.how", "quantize.embedding"),
    *_SAMPLE_FIELDS,
)
# The fields whose values are names of records with a meaning.
_RECORDS: Mapping[str, Mapping[str, Any]] = {
    "pruning.criterion": METHODS,
    "pruning.propagate": PROPAGATIONS,
    "quantize.grid": GRIDS,
    "quantize.how": ROUNDINGS,
    "quantize.embedding": GRIDS,
    "calibration.kind": KINDS,
    "calibration.combine": COMBINATIONS,
}
PRUNE_FIELDS, QUANTIZE_FIELDS = fields_of(PruneConfig), fields_of(QuantizeConfig)
RECOVER_FIELDS, SHRINK_FIELDS = fields_of(RecoverConfig), fields_of(ShrinkConfig)
# Key of the record of a run in its report → command, fields, and the folder of its workdir in commands.
_MADE_BY = {
    "shrunk": ("shrink", SHRINK_FIELDS, "SMALLER"),
    "quantized": ("quantize", QUANTIZE_FIELDS, "QUANTIZED"),
    "pruned": ("prune", PRUNE_FIELDS, "PRUNED"),
}


def pruned_fields(config: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a run by path; for a recovery also the fields of the earlier pruning.

    Raises:
      InputError: a field of pruning or of the calibration set is wrong.
    """
    fields = flatten_dict(dict(config), sep=".")
    fields |= flatten_dict(report.get("pruned", {}).get("config", {}), sep=".")
    return _checked(fields, PRUNE_FIELDS)


def _checked(fields: Mapping[str, Any], rules: Mapping[str, Field]) -> dict[str, Any]:
    """The fields that a card shows; absent fields have their defaults."""
    checked = dict(fields)
    for path, rule in rules.items():
        if path.partition(".")[0] in _SHOWN:
            checked[path] = fields.get(path, rule.default)
            check(f"config.json: {path}", checked[path], rule)
    return checked


def run_facts(config: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, str]:
    """The settings and results of a run by name; empty without a report.

    Settings have the paths of their fields: those that differ from the defaults, and the most important others.

    Args:
      config, report: the content of config.json and report.json.

    Raises:
      InputError: as `pruned_fields`.
    """
    facts: dict[str, str | None] = {}
    if "shrunk" in report:
        facts |= smaller_facts(report["shrunk"])
    elif "quantized" in report:
        facts |= _quantized_facts(config, report)
    elif "sparsity" in report:
        fields, before = pruned_fields(config, report), {**report, **report.get("pruned", {})}
        facts["sparsity"] = _sparsity(report)
        facts |= dict(_settings(fields, PRUNE_FIELDS))
        if fields["calibration.stats"] is not None:
            sets = before.get("languages", {}).items()
            facts["languages"] = "; ".join(f"{role} ({', '.join(codes)})" for role, codes in sets)
        facts |= _calibration_facts(before) | {"warning": few_tokens(report)}
    if "quantized" not in report:  # whose hf/ is in float32
        facts["files of the weights"] = file_sizes(report)
    if losses := report.get("losses"):
        fields = _checked(flatten_dict(dict(config), sep="."), RECOVER_FIELDS)
        name, values = "loss of the model", [losses[0][0], losses[-1][1]]
        if (how := fields["recovery.how"]) != DISTIL:
            name = f"mean loss of a {how}"
            values = [sum(part) / len(part) for part in zip(*losses, strict=True)]
        if chosen := report.get("in_minutes"):
            fields["calibration.samples"], fields["recovery.epochs"] = chosen.values()
        recovered = dict(_settings(fields, RECOVER_FIELDS))
        recovered["tokens"] = _token_counts(report)
        recovered[f"{name} on held-out samples"] = "{:.3g} before, {:.3g} after".format(*values)
        for path, value in recovered.items():
            facts[path if path.startswith("recovery.") else f"recovery, {path}"] = value
    return {name: value for name, value in facts.items() if value}


def _quantized_facts(config: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, str | None]:
    quantized, sizes = report["quantized"], report.get("weight_bytes", {})
    before = {**report, **quantized}  # of a recovered one, the run that was recovered
    fields = _checked(flatten_dict(quantized.get("config", config), sep="."), QUANTIZE_FIELDS)
    facts: dict[str, str | None] = dict(_settings(fields, QUANTIZE_FIELDS))
    if quantized.get("grids"):
        used = Counter(name for layer in quantized["grids"] for name in layer.values())
        facts["linear layers by grid"] = ", ".join(f"{name} {n}" for name, n in used.most_common())
    warnings = filter(None, (few_tokens(before), quantized.get("warning")))
    facts |= _calibration_facts(before) | {"warning": " ".join(warnings)}
    file = byte_size(sizes[GGUF]) if GGUF in sizes else None
    if reason := quantized.get("no_gguf"):
        file = f"not written: {reason}"
    return facts | {GGUF: file}


def _calibration_facts(report: Mapping[str, Any]) -> dict[str, str]:
    """Tokens of the calibration set, and where its Gram matrices needed more damping."""
    damping = report.get("damping", {})
    raised = [
        f"layer {layer} {site}: {added:g}"
        for layer, sites in damping.items()
        for site, added in sites.items()
    ]
    return {"tokens": _token_counts(report), "damping of Gram matrices raised": ", ".join(raised)}


def _settings(fields: Mapping[str, Any], rules: Mapping[str, Field]) -> Iterator[tuple[str, str]]:
    """The fields of a pruning or of a recovery that are facts, with the meanings of names."""
    hidden = {"recovery.run"}
    if "pruning.criterion" in rules:
        if fields["pruning.pattern"] != UNSTRUCTURED:
            hidden.add("pruning.sparsity")
        if not measures(fields):
            hidden |= {"pruning.propagate", *(p for p in rules if p.startswith("calibration."))}
            yield "calibration", "none, the criterion needs no data"
    if fields.get("calibration.stats") is not None:
        hidden.update(_SAMPLE_FIELDS)
    kind = KINDS.get(fields.get("calibration.kind", ""))
    if kind is not None and not kind.has_target:
        hidden.add("calibration.target")
    if kind is not None and kind.is_generated:
        hidden.add("calibration.data")
    if "quantize.how" in rules and not ROUNDINGS[fields["quantize.how"]].needs:
        hidden.update(path for path in rules if path.startswith("calibration."))
    for path, rule in rules.items():
        value, group = fields.get(path, rule.default), path.partition(".")[0]
        is_fact = group in _SHOWN and (path in _ALWAYS or value != rule.default)
        if is_fact and path not in hidden and value is not None:
            text = str(_without_folders(path, value))
            if path in _RECORDS:
                text += f": {_RECORDS[path][value].meaning}"
            elif path == "pruning.allocation":
                text += f": {allocation_of(value).meaning}"
            yield path, text


def _sparsity(report: Mapping[str, Any]) -> str:
    sparsity, share = report["sparsity"], share_of_all(report)
    text = f"{percent(sparsity['overall'], 2)}% of the blocks' kernels"
    text += "" if share is None else f", {percent(share)}% of all parameters"
    by_layer = share_range(sparsity["layers"])
    return f"{text}; {by_layer} by layer" if by_layer else text


def few_tokens(report: Mapping[str, Any]) -> str | None:
    """A sentence if Gram matrices were measured on fewer tokens than they have rows; None otherwise."""
    width, tokens = report.get("gram_width", 0), sum(report.get("tokens", {}).values())
    if not 0 < tokens < width:
        return None
    return (
        f"The calibration set has {count(tokens)} tokens, fewer than the widest layer has inputs ({count(width)}): its "
        "Gram matrix is singular, and the weights depend on the damping. Use more samples."
    )


def measures(fields: Mapping[str, Any]) -> bool:
    """Whether a run reads samples; `fields` are its config by path."""
    reads = allocation_of(fields["pruning.allocation"]).reads_samples
    return reads or bool(METHODS[fields["pruning.criterion"]].needs)


def last_part(path: str) -> str:
    """The last part of a path; a hub id or a name as it is."""
    return path if re.fullmatch(_SHORT, path) else PurePath(path).name or path


def last_parts(paths: str) -> str:
    """The last part of each of some paths, separated by commas."""
    return ",".join(map(last_part, comma_separated(paths)))


def command_line(
    command: str, config: Mapping[str, Any], fields: Mapping[str, Field], workdir: str
) -> str:
    """A command with the fields of a config that differ from their defaults."""
    flat = flatten_dict(dict(config), sep=".")
    parts = ["jaxprune", command, "--config", "base", "--workdir", workdir]
    for path, field in fields.items():
        value = flat.get(path, field.default)
        implied = path == "pruning.sparsity" and flat.get("pruning.pattern") != UNSTRUCTURED
        if value != field.default and not implied:
            parts.append(f"--config.{path}={_BUNDLED.get(value, value)}")
    return shlex.join(parts)


def _without_folders(path: str, value: Any) -> Any:
    """The value of a field; for paths only the last part."""
    is_path = isinstance(value, str) and "/" in value
    is_public = path == "revision" or path.startswith("pruning.")
    return last_parts(value) if is_path and not is_public else value


def _without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config whose paths are reduced to their last part."""
    flat = flatten_dict(dict(config), sep=".")
    return unflatten_dict(
        {path: _without_folders(path, value) for path, value in flat.items()}, sep="."
    )


def share_of_all(report: Mapping[str, Any]) -> float | None:
    """The share of all parameters that were dropped; None if the report lacks the numbers."""
    counts = report.get("parameters")
    return counts and counts["dropped"] / counts["all"]


def file_sizes(report: Mapping[str, Any]) -> str | None:
    """The sizes of the weights' files, dense and pruned; None without an export."""
    sizes = [byte_size(size) for size in report.get("weight_bytes", {}).values() if size]
    if len(sizes) < 2 or sizes[0] == sizes[1]:
        return f"{sizes[0]}, unchanged" if len(sizes) > 1 else None
    return f"{sizes[0]} before, {sizes[1]} after"


def _token_counts(report: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{count(number)} ({role})" for role, number in report.get("tokens", {}).items()
    )


def commands(
    config: Mapping[str, Any], report: Mapping[str, Any], run: str | None = None
) -> Iterator[tuple[str, str]]:
    """The commands that made a model, one for each run, as (command, line).

    Args:
      config, report: the content of config.json and report.json of the last run.
      run: folder of the last run, for commands as they are run; by default commands for a card, which may be published,
        with the last parts of paths only.
    """
    name, (command, fields, first) = next(
        (made for made in _MADE_BY.items() if made[0] in report), ("pruned", _MADE_BY["pruned"])
    )
    before = report.get(name, {})
    configs = (
        [before["config"], *before.get("recoveries", []), config]
        if "config" in before
        else [config]
    )
    earlier = [first, *(f"RECOVERED{n}" for n in range(1, len(configs) - 1))]
    folders = [*earlier[: len(configs) - 1], run or "RUN"]
    if run is None:
        model = {"model": report["origin"]["name"]} if "origin" in report else {}
        configs = [_without_paths({**earlier_config, **model}) for earlier_config in configs]
    yield command, command_line(command, configs[0], fields, folders[0])
    for recovered, (source, target) in zip(configs[1:], itertools.pairwise(folders), strict=True):
        filled = {**recovered, "recovery": {**recovered["recovery"], "run": source}}
        yield "recover", command_line("recover", filled, RECOVER_FIELDS, target)


def versions(report: Mapping[str, Any]) -> str:
    """The versions of the package and the libraries on which results depend."""
    environment = report["environment"]
    return ", ".join(f"{name} {environment[name]}" for name in _VERSIONS if name in environment)
