"""Config, report and evaluations of a run → the model card of its Hugging Face folder, in Markdown."""

import dataclasses
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from flax.traverse_util import flatten_dict

from jaxprune.calibration import ALL, COMBINATIONS, KINDS, SUM, joined, language
from jaxprune.errors import InputError, one_line
from jaxprune.hf import Origin
from jaxprune.pruning import METHODS, PROPAGATIONS, ROW, UNIFORM, UNSTRUCTURED, allocation_of
from jaxprune.runs.planning import PruneConfig, RecoverConfig
from jaxprune.schema import Field, check, fields_of
from jaxprune.tables import as_code, by_layer, byte_size, count, percent, pipes

_PAPER = "https://arxiv.org/abs/2409.16911"
# Of the relations of the hub (adapter, merge, quantized, finetune) the last means changed weights of the same shapes.
_RELATION = "finetune"
_VERSIONS = ("jaxprune", "jax", "numpy", "transformers")
_TAGS = ("jaxprune", "pruned", "sparse")
_SHORT = (
    r"\w[\w.-]*(/\w[\w.-]*)?"  # a hub id or a name; other paths are private but for their last part
)
# The parts of a config and of a report that a card shows.
_ALL_FIELDS = fields_of(PruneConfig)
_FIELDS = {
    path: field
    for path, field in _ALL_FIELDS.items()
    if path.partition(".")[0] in ("dtype", "compat", "seed", "pruning", "calibration")
}
# Of the command recover: it takes those of pruning from the run, and needs no statistics.
_STATISTICS = ("combine", "weights", "stats", "tokens")
RECOVER_FIELDS = {
    path: field
    for path, field in fields_of(RecoverConfig).items()
    if path.partition(".")[0] != "pruning"
    and path not in [f"calibration.{name}" for name in _STATISTICS]
}
# Fields that older configs lack, with the values of those runs.
_NEW = {
    "pruning.allocation": UNIFORM.name,
    "pruning.group": ROW,
    "calibration.combine": SUM.name,
    "calibration.tokens": ALL,
}
_ABOUT = (
    f"jaxprune implements [Pruning Multilingual Large Language Models for Multilingual Inference]({_PAPER}) (Kim, "
    "Suzuki, Hirasawa, Komachi; Findings of EMNLP 2024) and is not by the authors of that paper."
)
_NOT_EVALUATED = (
    "Not evaluated yet. `jaxprune evaluate --config base --workdir RUN --config.model=RUN/hf` evaluates this model, "
    "`jaxprune report RUN` adds the results here."
)
_REPORTED = ("origin", "sparsity", "tokens", "digests", "environment")


@dataclasses.dataclass(frozen=True)
class Measured:
    """The results of evaluations of a pruned model.

    Attributes:
      lines: Markdown, sections of the second level.
      accuracy: by task and language code, in [0, 1].
    """

    lines: Sequence[str] = ()
    accuracy: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)


def model_card(
    config: Mapping[str, Any], report: Mapping[str, Any], measured: Measured | None = None
) -> str:
    """The text of a README.md with the front matter that the Hugging Face hub reads.

    Args:
      config: the content of config.json.
      report: the content of report.json, with `origin`.
      measured: the evaluations, if any.

    Raises:
      InputError: a value that a card shows is missing or wrong.
    """
    from huggingface_hub import ModelCard  # late, for it takes as long as a tenth of JAX

    found = flatten_dict(dict(config), sep=".")
    fields = found | {path: found.get(path, default) for path, default in _NEW.items()}
    for path, field in _FIELDS.items():
        check(f"config.json: {path}", fields.get(path), field)
    for name in _REPORTED:
        if name not in report:
            raise InputError(f"report.json: {name}: missing")
    origin, sparsity, results = report["origin"], report["sparsity"], measured or Measured()
    recovery, pruned = fields, report
    if recovered := report.get("pruned"):  # config and report are those of the recovery
        fields = fields | _NEW | flatten_dict(recovered["config"], sep=".")
        pruned = {**report, **recovered}
    facts = _listed(_facts(fields, pruned))
    details = folded("Command, versions and hashes", _listed(_details(fields, recovery, report)))
    zeros = percent(sparsity["overall"])
    kernels = sparsity["kernels"].items()
    shares = [[as_code(name.removesuffix("/kernel")), percent(share)] for name, share in kernels]
    table = pipes(["kernel", "zeros, %"], [*shares, ["all", zeros]])
    if differ := by_layer(sparsity["layers"]):
        table = [*table, "", f"{differ}."]
    body = [
        *_lead(fields, report, zeros),
        *_section("How it was pruned", facts),
        *(_section("How it was recovered", _listed(_recovery(recovery, report))) * bool(recovered)),
        *_section("How to repeat it", [*details, _ABOUT]),
        *_section("Sparsity", table),
        *(results.lines or _section("Accuracy by language", [_NOT_EVALUATED])),
        *_section("How to load it", _loading(origin.get("has_tokenizer", False))),
        *_section("Licence", [_terms(origin)]),
    ]
    metadata = _metadata(fields, origin, results.accuracy)
    return str(ModelCard(f"---\n{metadata}\n---\n\n" + "\n".join(body)))


def folded(title: str, lines: Iterable[str]) -> list[str]:
    """Markdown that the hub shows on a click."""
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]


def _listed(facts: Iterable[tuple[str, str]]) -> list[str]:
    return [f"- {name}: {value}" for name, value in facts]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""]


def _metadata(
    fields: Mapping[str, Any], origin: Origin, accuracy: Mapping[str, Mapping[str, float]]
) -> str:
    """Front matter, without unknown values."""
    from huggingface_hub import EvalResult, ModelCardData

    base = origin.get("base_model")
    results = [
        EvalResult(
            task_type="text-generation", dataset_type=task, dataset_name=task, dataset_config=tag,
            metric_type="accuracy", metric_value=round(value, 4),
        )
        for task, by_language in accuracy.items()
        for tag, value in by_language.items()
    ]  # fmt: skip
    data = ModelCardData(
        base_model=base[0] if base and len(base) == 1 else base,
        base_model_relation=_RELATION if base else None,
        language=origin.get("language") or _languages(fields) or None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=[*_TAGS, fields["pruning.criterion"], fields["pruning.pattern"]],
        model_name=_title(fields, origin) if results else None,
        eval_results=results or None,
        license=origin.get("license"),
        license_name=origin.get("license_name"),
        license_link=origin.get("license_link"),
    )
    return data.to_yaml()


def _measures(fields: Mapping[str, Any]) -> bool:
    reads = allocation_of(fields["pruning.allocation"]).reads_norms
    return reads or bool(METHODS[fields["pruning.criterion"]].needs)


def _languages(fields: Mapping[str, Any]) -> list[str]:
    """Codes of the calibration set."""
    kind = KINDS[fields["calibration.kind"]]
    if not (kind.reads_text and _measures(fields)) or fields["calibration.stats"]:
        return []
    target = [fields["calibration.target"]] if kind.translates else []
    return [*dict.fromkeys([*joined(fields["calibration.source"]), *target])]


def _plain(text: str) -> str:
    """A text from outside, with its Markdown characters escaped."""
    return re.sub(r"[*`\[\]<>|\\]", r"\\\g<0>", one_line(text))


def _title(fields: Mapping[str, Any], origin: Origin) -> str:
    how = fields["pruning.pattern"]
    if how == UNSTRUCTURED:
        how = f"{100 * fields['pruning.sparsity']:g}%"
    return f"{PurePath(origin['name']).name}, pruned ({fields['pruning.criterion']}, {how})"


def last_part(path: str) -> str:
    """The last part of a path; a hub id or a name as it is."""
    return path if re.fullmatch(_SHORT, path) else PurePath(path).name or path


def command_line(
    command: str, config: Mapping[str, Any], fields: Mapping[str, Field], workdir: str
) -> str:
    """A command with the fields of a config that differ from their defaults; paths are reduced to their last part."""
    flat = flatten_dict(dict(config), sep=".")
    parts = ["jaxprune", command, "--config", "base", "--workdir", workdir]
    for path, field in fields.items():
        value = flat.get(path, field.default)
        implied = path == "pruning.sparsity" and flat.get("pruning.pattern") != UNSTRUCTURED
        if value != field.default and not implied:
            is_path = isinstance(value, str) and "/" in value and not path.startswith("pruning.")
            shown = last_part(value) if is_path else value
            parts.append(f"--config.{path}={shown}")
    return shlex.join(parts)


def damped_sites(report: Mapping[str, Any]) -> Iterator[str]:
    """Layer, site and damping where a method had to raise it, as the features are nearly dependent."""
    for layer, sites in report.get("damping", {}).items():
        for site, added in sites.items():
            yield f"layer {layer} {site}: {added:g}"


def mean_loss(report: Mapping[str, Any]) -> str | None:
    """The loss on held-out samples, mean over the blocks, before and after recovery; None without recovery."""
    if not (losses := report.get("losses")):
        return None
    before, after = (sum(part) / len(part) for part in zip(*losses, strict=True))
    return f"mean loss of a block on held-out samples {before:.3g} before, {after:.3g} after"


def share_of_all(report: Mapping[str, Any]) -> float | None:
    """The share of all parameters that were dropped; None in older reports."""
    counts = report.get("parameters")
    return counts and counts["dropped"] / counts["all"]


def file_sizes(report: Mapping[str, Any]) -> str | None:
    """The sizes of the weights' files, dense and pruned; None in older reports and without an export."""
    sizes = [byte_size(size) for size in report.get("weight_bytes", {}).values() if size]
    if len(sizes) < 2 or sizes[0] == sizes[1]:
        return f"{sizes[0]}, unchanged" if len(sizes) > 1 else None
    return f"{sizes[0]} before, {sizes[1]} after"


def _lead(fields: Mapping[str, Any], report: Mapping[str, Any], zeros: str) -> list[str]:
    origin = report["origin"]
    named, base = as_code(origin["name"]), origin.get("base_model", [])
    if origin["name"] in base:
        named = f"[{origin['name']}](https://huggingface.co/{origin['name']})"
    elif base:
        cards = ", ".join(map(as_code, base))
        named += f", a local folder whose card names {cards} as its base model,"
    else:
        named += ", a local folder without a known hub id,"
    pattern, where, kernels = fields["pruning.pattern"], "", ""
    if pattern != UNSTRUCTURED:
        where, kernels = f", in the pattern {pattern}", " without kernels that use the pattern"
    others = "Nothing was trained: all other weights are bit-identical to the dense model's."
    same = "Embeddings, norms, biases and the head"
    if "pruned" in report:
        others = "Other weights, norms and biases of its blocks were then fitted to the outputs of the dense blocks."
        same = "Embeddings and the head"
    elif "changed" in report["digests"]:
        others = f"The method {as_code(fields['pruning.criterion'])} changed other weights of these layers."
    share, sizes = share_of_all(report), file_sizes(report)
    of_all = "" if share is None else f", {percent(share)}% of all parameters,"
    return [
        f"# {_plain(_title(fields, origin))}",
        "",
        f"{named} with {zeros}% of the weights in the linear layers of its blocks{of_all} set to zero. {others} "
        f"{same} are those of the dense model.",
        "",
        f"Zeros are stored and multiplied like other numbers{where}: size and speed are unchanged{kernels}."
        + (f" Files of the weights: {sizes}." if sizes else ""),
        "",
    ]


def _recovery(fields: Mapping[str, Any], report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield (
        "fitted",
        "block by block, kept weights, norms and biases to the outputs of the dense blocks",
    )
    yield "samples", _calibration(fields, report)
    yield "tokens", _token_counts(report)
    names = ("epochs", "learning_rate", "batch", "held_out")
    settings = (f"{name} {fields[f'recovery.{name}']:g}" for name in names)
    yield "settings", as_code(", ".join(settings))
    yield "result", str(mean_loss(report))


def _token_counts(report: Mapping[str, Any]) -> str:
    return ", ".join(f"{count(number)} ({role})" for role, number in report["tokens"].items())


def _facts(fields: Mapping[str, Any], report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    criterion = METHODS[fields["pruning.criterion"]]
    yield "criterion", f"{as_code(criterion.name)}: {criterion.meaning}"
    if fields["pruning.start"] is not None:
        yield "started with", f"the mask of {as_code(fields['pruning.start'])}"
    if fields["pruning.pattern"] == UNSTRUCTURED:
        is_same = fields["pruning.allocation"] == UNIFORM.name
        of_each = "of the inputs of each output" if is_same else "of the weights"
        yield "requested", f"{percent(fields['pruning.sparsity'])}% {of_each}"
    else:
        kept, group = fields["pruning.pattern"].split(":")
        yield "requested", f"{kept}:{group}, {kept} of every {group} inputs of an output are kept"
    if fields["pruning.group"] != ROW:
        yield "scores compared within", f"a {fields['pruning.group']}"
    if fields["pruning.threshold"] != ROW:
        yield "threshold", as_code(fields["pruning.threshold"])
    if fields["pruning.drop"] != "lowest":
        yield "dropped", f"the {fields['pruning.drop']} scores"
    if ignored := report.get("allocation", {}).get("ignored"):
        said = f"{as_code(fields['pruning.ignore'])}, kernels that keep all weights: {len(ignored)}"
        yield "ignored", f"{said}; the request is for the others"
    if (allocation := allocation_of(fields["pruning.allocation"])) is not UNIFORM:
        slope = fields["pruning.slope"]
        said = allocation.meaning + ("" if slope is None else f", {slope:g}")
        yield "sparsity by block", f"{as_code(allocation.name)}: {said}"
    if _measures(fields):
        if criterion.needs:
            propagation = PROPAGATIONS[fields["pruning.propagate"]]
            yield "statistics from", f"{as_code(propagation.name)}: {propagation.meaning}"
        yield "calibration set", _calibration(fields, report)
        if (name := fields["calibration.combine"]) != SUM.name:
            weights = fields["calibration.weights"]
            of_each = f", {as_code(weights)}" if weights else ""
            yield "languages combined", f"{as_code(name)}: {COMBINATIONS[name].meaning}{of_each}"
        yield "calibration tokens", _token_counts(report)
    else:
        yield "calibration set", "none, the criterion needs no data"
    if raised := list(damped_sites(report)):
        yield "damping of Gram matrices raised", ", ".join(raised)
    yield "computed in", as_code(fields["dtype"])
    yield "seed", str(fields["seed"])
    if fields["compat"] != "corrected":
        yield "compat", f"{as_code(fields['compat'])}: as in the code of the paper's authors"


def _details(
    fields: Mapping[str, Any], recovery: Mapping[str, Any], report: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    name = {"model": report["origin"]["name"]}
    pruned = "PRUNED" if "pruned" in report else "RUN"
    yield "command", as_code(command_line("prune", {**fields, **name}, _ALL_FIELDS, pruned))
    if "pruned" in report:
        config = {**recovery, **name, "recovery.run": pruned}
        yield "and", as_code(command_line("recover", config, RECOVER_FIELDS, "RUN"))
    found = report["environment"]
    yield "versions", ", ".join(f"{name} {found[name]}" for name in _VERSIONS if name in found)
    yield "SHA-256 of the masks", as_code(report["digests"]["masks"])
    if "changed" in report["digests"]:
        yield "SHA-256 of the changed weights", as_code(report["digests"]["changed"])


def _calibration(fields: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    if fields["calibration.stats"] is not None:
        sets = report.get("languages", {}).items()
        by_role = (f"{role} ({', '.join(languages)})" for role, languages in sets)
        return f"saved statistics of the dense model: {'; '.join(by_role) or 'no language known'}"
    kind = KINDS[fields["calibration.kind"]]
    data = fields["calibration.data"]
    shown = as_code(last_part(data))
    if not kind.reads_text:
        return f"{kind.meaning}, {shown}"
    source = ", ".join(map(_language, joined(fields["calibration.source"])))
    pair = f"{source} → {_language(fields['calibration.target'])}" if kind.translates else source
    samples, shots = fields["calibration.samples"], fields["calibration.shots"]
    side = fields["calibration.tokens"]
    only = f"; the tokens of the {side} alone are measured" if side != ALL else ""
    return f"{samples} samples of {shots} {kind.meaning}, {pair}, from {shown}{only}"


def _language(tag: str) -> str:
    return f"{language(tag).name} ({tag})"


def _loading(has_tokenizer: bool) -> Iterator[str]:
    yield from (
        "```python",
        f"from transformers import AutoModelForCausalLM{', AutoTokenizer' if has_tokenizer else ''}",
        "",
        'name = "."  # this folder, or its id on the hub',
        "model = AutoModelForCausalLM.from_pretrained(name)",
    )
    if has_tokenizer:
        yield "tokenizer = AutoTokenizer.from_pretrained(name)"
        yield from ("```", "", "The tokenizer is that of the dense model.")
    else:
        yield "```"


def _terms(origin: Origin) -> str:
    if "license" not in origin:
        return "That of the dense model, whose card does not name it: read its terms before use."
    name = origin.get("license_name")
    licence = as_code(origin["license"]) + (f" ({as_code(name)})" if name else "")
    return f"That of the dense model, according to its card: {licence}. jaxprune adds no terms."
