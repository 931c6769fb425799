"""Config and report of a run → facts in words, which the card, the page and the terminal share."""

import itertools
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.base.schema import Field, check, comma_separated, fields_of
from jaxprune.base.text import by_layer, byte_size, count, percent
from jaxprune.data.kinds import KINDS
from jaxprune.data.languages import joined, language
from jaxprune.nano import MODELS
from jaxprune.pruning.allocations import UNIFORM, allocation_of
from jaxprune.pruning.drop import ROW, UNSTRUCTURED
from jaxprune.pruning.methods import METHODS
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.runs.planning.config import PruneConfig, RecoverConfig, ShrinkConfig
from jaxprune.runs.smaller_facts import sizes
from jaxprune.stats.combinations import COMBINATIONS, SUM

_VERSIONS = ("jaxprune", "jax", "numpy", "transformers")
_SHORT = (
    r"\w[\w.-]*(/\w[\w.-]*)?"  # a hub id or a name; other paths are private but for their last part
)
# Folders of the bundled models → their names, which are the same on every machine.
_BUNDLED = {folder: name for name, folder in MODELS.items()}
# The groups of fields that a card shows.
_SHOWN = ("dtype", "compat", "seed", "pruning", "calibration", "recovery")
PRUNE_FIELDS = fields_of(PruneConfig)
RECOVER_FIELDS, SHRINK_FIELDS = fields_of(RecoverConfig), fields_of(ShrinkConfig)


def pruned_fields(config: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a run by path; of a recovery those of the pruning before, and its own.

    Raises:
      InputError: a field of pruning or of the calibration set is wrong.
    """
    fields = flatten_dict(dict(config), sep=".")
    fields |= flatten_dict(report.get("pruned", {}).get("config", {}), sep=".")
    return _checked(fields, PRUNE_FIELDS)


def _checked(fields: Mapping[str, Any], rules: Mapping[str, Field]) -> dict[str, Any]:
    """The fields that a card shows, with the defaults of those that are absent."""
    checked = dict(fields)
    for path, rule in rules.items():
        if path.partition(".")[0] in _SHOWN:
            checked[path] = fields.get(path, rule.default)
            check(f"config.json: {path}", checked[path], rule)
    return checked


def run_facts(config: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, str]:
    """What a run did and what came of it, by name; empty without a report.

    Args:
      config, report: the content of config.json and report.json.

    Raises:
      InputError: as `pruned_fields`.
    """
    facts: dict[str, str | None] = {}
    if "shrunk" in report:
        facts |= dict(sizes(report))
    elif "sparsity" in report:
        fields = pruned_fields(config, report)
        facts["sparsity"] = _sparsity(report)
        facts |= dict(pruning_facts(fields, {**report, **report.get("pruned", {})}))
        facts["files of the weights"] = file_sizes(report)
        facts["speed"] = _speed(fields["pruning.pattern"])
    if "losses" in report:
        recovered = recovery_facts(config, report)
        facts |= {f"recovery, {name}": value for name, value in recovered}
    return {name: value for name, value in facts.items() if value}


def _sparsity(report: Mapping[str, Any]) -> str:
    sparsity, share = report["sparsity"], share_of_all(report)
    text = f"{percent(sparsity['overall'], 2)}% of the blocks' kernels"
    text += "" if share is None else f", {percent(share)}% of all parameters"
    differ = by_layer(sparsity["layers"])
    return f"{text}; {differ}" if differ else text


def _speed(pattern: str) -> str:
    kernels = "" if pattern == UNSTRUCTURED else f" without kernels for the pattern {pattern}"
    return f"unchanged{kernels}: zeros are stored and multiplied like other numbers"


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
    reads = allocation_of(fields["pruning.allocation"]).reads_norms
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


def _without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config whose paths are reduced to their last part."""
    flat = flatten_dict(dict(config), sep=".")
    for path, value in flat.items():
        is_path = isinstance(value, str) and "/" in value
        if is_path and path != "revision" and not path.startswith("pruning."):
            flat[path] = last_parts(value)
    return unflatten_dict(flat, sep=".")


def damped_sites(report: Mapping[str, Any]) -> Iterator[str]:
    """Layer, site and damping where a method had to raise it, as the features are nearly dependent."""
    for layer, sites in report.get("damping", {}).items():
        for site, added in sites.items():
            yield f"layer {layer} {site}: {added:g}"


def mean_loss(report: Mapping[str, Any]) -> str | None:
    """The loss on held-out samples before and after recovery, mean over the blocks if each has one; None without."""
    if not (losses := report.get("losses")):
        return None
    before, after = (sum(part) / len(part) for part in zip(*losses, strict=True))
    name = "mean loss of a block" if len(losses) > 1 else "loss of the model"
    return f"{name} on held-out samples {before:.3g} before, {after:.3g} after"


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


def recovery_facts(
    config: Mapping[str, Any], report: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """The settings and losses of a recovery, as (name, value).

    Raises:
      InputError: a field is wrong.
    """
    fields = _checked(flatten_dict(dict(config), sep="."), RECOVER_FIELDS)
    how = {
        "block": "block by block, kept weights, norms and biases to the outputs of the dense blocks",
        "distil": "all blocks together, kept weights, norms and biases to the dense model's predictions of the "
        "next token, by KL divergence in nats",
    }
    yield "fitted", how[fields["recovery.how"]]
    yield "samples", _calibration(fields, report)
    yield "tokens", _token_counts(report)
    names = ("epochs", "learning_rate", "batch", "held_out")
    settings = (f"{name} {fields[f'recovery.{name}']:g}" for name in names)
    yield "settings", ", ".join(settings)
    yield "result", str(mean_loss(report))


def _token_counts(report: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{count(number)} ({role})" for role, number in report.get("tokens", {}).items()
    )


def pruning_facts(
    fields: Mapping[str, Any], report: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """The settings of pruning, as (name, value)."""
    criterion = METHODS[fields["pruning.criterion"]]
    yield "criterion", f"{criterion.name}: {criterion.meaning}"
    if fields["pruning.start"] is not None:
        yield "started with", f"the mask of {fields['pruning.start']}"
    if fields["pruning.pattern"] == UNSTRUCTURED:
        by_row = fields["pruning.group"] == fields["pruning.threshold"] == ROW
        selects = METHODS[fields["pruning.start"] or criterion.name].selects
        uniform = fields["pruning.allocation"] == UNIFORM.name
        is_same = by_row and uniform and not selects
        of_each = "of the inputs of each output" if is_same else "of the weights"
        yield "requested", f"{percent(fields['pruning.sparsity'])}% {of_each}"
    else:
        kept, group = fields["pruning.pattern"].split(":")
        yield "requested", f"{kept}:{group}, {kept} of every {group} inputs of an output are kept"
    if fields["pruning.group"] != ROW:
        yield "scores compared within", f"a {fields['pruning.group']}"
    if fields["pruning.threshold"] != ROW:
        yield "threshold", fields["pruning.threshold"]
    if fields["pruning.drop"] != "lowest":
        yield "dropped", f"the {fields['pruning.drop']} scores"
    if ignored := report.get("allocation", {}).get("ignored"):
        patterns = fields["pruning.ignore"]
        kernels = f"{patterns}, kernels that keep all weights: {len(ignored)}"
        yield "ignored", f"{kernels}; the request is for the others"
    if (allocation := allocation_of(fields["pruning.allocation"])) is not UNIFORM:
        slope = fields["pruning.slope"]
        meaning = allocation.meaning + ("" if slope is None else f", {slope:g}")
        yield "sparsity by block", f"{allocation.name}: {meaning}"
    if measures(fields):
        if criterion.needs:
            propagation = PROPAGATIONS[fields["pruning.propagate"]]
            yield "statistics from", f"{propagation.name}: {propagation.meaning}"
        yield "calibration set", _calibration(fields, report)
        if (name := fields["calibration.combine"]) != SUM.name:
            weights = fields["calibration.weights"]
            of_each = f", {weights}" if weights else ""
            yield "languages combined", f"{name}: {COMBINATIONS[name].meaning}{of_each}"
        yield "calibration tokens", _token_counts(report)
    else:
        yield "calibration set", "none, the criterion needs no data"
    if raised := list(damped_sites(report)):
        yield "damping of Gram matrices raised", ", ".join(raised)
    yield "computed in", fields["dtype"]
    yield "seed", str(fields["seed"])
    if fields["compat"] != "corrected":
        yield "compat", f"{fields['compat']}: as in the code of the paper's authors"


def commands(
    config: Mapping[str, Any], report: Mapping[str, Any], run: str | None = None
) -> Iterator[tuple[str, str]]:
    """The commands that made a model, one for each run, as (command, line).

    Args:
      config, report: the content of config.json and report.json of the last run.
      run: its folder, for the commands as they are run; by default those of a card, which may be published: with the
        last parts of paths only.
    """
    is_smaller = "shrunk" in report
    before = report.get("shrunk" if is_smaller else "pruned", {})
    configs = (
        [before["config"], *before.get("recoveries", []), config]
        if "config" in before
        else [config]
    )
    command, fields, first = (
        ("shrink", SHRINK_FIELDS, "SMALLER") if is_smaller else ("prune", PRUNE_FIELDS, "PRUNED")
    )
    earlier = [first, *(f"RECOVERED{n}" for n in range(1, len(configs) - 1))]
    folders = [*earlier[: len(configs) - 1], run or "RUN"]
    if run is None:
        name = {"model": report["origin"]["name"]} if "origin" in report else {}
        configs = [_without_paths({**one, **name}) for one in configs]
    yield command, command_line(command, configs[0], fields, folders[0])
    for one, (source, made) in zip(configs[1:], itertools.pairwise(folders), strict=True):
        recovery = {**one["recovery"], "run": source}
        yield (
            "recover",
            command_line("recover", {**one, "recovery": recovery}, RECOVER_FIELDS, made),
        )


def versions(report: Mapping[str, Any]) -> str:
    """Of the package and the libraries on which the results depend."""
    found = report["environment"]
    return ", ".join(f"{name} {found[name]}" for name in _VERSIONS if name in found)


def _calibration(fields: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    if fields.get("calibration.stats") is not None:
        sets = report.get("languages", {}).items()
        by_role = (f"{role} ({', '.join(languages)})" for role, languages in sets)
        return f"saved statistics of the dense model: {'; '.join(by_role) or 'no language known'}"
    kind = KINDS[fields["calibration.kind"]]
    data = fields["calibration.data"]
    shown = last_part(data)
    if not kind.reads_text:
        return f"{kind.meaning}, {shown}"
    source = ", ".join(map(_language, joined(fields["calibration.source"])))
    pair = f"{source} → {_language(fields['calibration.target'])}" if kind.has_target else source
    samples, shots = fields["calibration.samples"], fields["calibration.shots"]
    return f"{samples} samples of {shots} {kind.meaning}, {pair}, from {shown}"


def _language(tag: str) -> str:
    return f"{language(tag).name} ({tag})"
