"""Config, report and evaluations of a run → the model card of its Hugging Face folder, in Markdown."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from flax.traverse_util import flatten_dict

from jaxprune.calibration import KINDS, joined
from jaxprune.errors import InputError, one_line
from jaxprune.hf import Origin
from jaxprune.pruning import UNSTRUCTURED
from jaxprune.runs.facts import (
    PRUNE_FIELDS,
    details,
    file_sizes,
    measures,
    pruning_facts,
    recovery_facts,
    share_of_all,
)
from jaxprune.schema import check
from jaxprune.tables import as_code, by_layer, percent, pipes

_PAPER = "https://arxiv.org/abs/2409.16911"
# Of the relations of the hub (adapter, merge, quantized, finetune) the last means changed weights of the same shapes.
_RELATION = "finetune"
# The parts of a config and of a report that a card shows.
_FIELDS = {
    path: field
    for path, field in PRUNE_FIELDS.items()
    if path.partition(".")[0] in ("dtype", "compat", "seed", "pruning", "calibration")
}
_ABOUT = (
    f"jaxprune implements [Pruning Multilingual Large Language Models for Multilingual Inference]({_PAPER}) (Kim, "
    "Suzuki, Hirasawa, Komachi; Findings of EMNLP 2024) and is not by the authors of that paper."
)
NOT_EVALUATED = (
    "Not evaluated yet. `jaxprune evaluate --config base --workdir RUN --config.model=RUN/hf` evaluates this model, "
    "`jaxprune report RUN` adds the results here."
)
_REPORTED = ("origin", "sparsity", "tokens", "digests", "environment")


@dataclasses.dataclass(frozen=True)
class Measured:
    """The results of evaluations of a pruned or smaller model.

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
    recovery = flatten_dict(dict(config), sep=".")
    # of a recovery, config and report are its own
    fields = recovery | flatten_dict(report.get("pruned", {}).get("config", {}), sep=".")
    for path, field in _FIELDS.items():
        check(f"config.json: {path}", fields.get(path), field)
    for name in _REPORTED:
        if name not in report:
            raise InputError(f"report.json: {name}: missing")
    origin, sparsity, results = report["origin"], report["sparsity"], measured or Measured()
    recovered = report.get("pruned", {})
    repeat = _listed(details(config, report))
    zeros = percent(sparsity["overall"])
    kernels = sparsity["kernels"].items()
    shares = [[as_code(name.removesuffix("/kernel")), percent(share)] for name, share in kernels]
    table = pipes(["kernel", "zeros, %"], [*shares, ["all", zeros]])
    if differ := by_layer(sparsity["layers"]):
        table = [*table, "", f"{differ}."]
    body = [
        *_lead(fields, report, zeros),
        *section("How it was pruned", _listed(pruning_facts(fields, {**report, **recovered}))),
        *(
            section("How it was recovered", _listed(recovery_facts(recovery, report)))
            if recovered
            else ()
        ),
        *section("How to repeat it", [*folded("Command, versions and hashes", repeat), _ABOUT]),
        *section("Sparsity", table),
        *(results.lines or section("Accuracy by language", [NOT_EVALUATED])),
        *section("How to load it", loading(origin.get("has_tokenizer", False))),
        *section("Licence", [terms(origin)]),
    ]
    metadata = front_matter(
        origin, origin.get("language") or _languages(fields, report),
        ["pruned", "sparse", fields["pruning.criterion"], fields["pruning.pattern"]],
        _title(fields, origin), results.accuracy,
    )  # fmt: skip
    return f"---\n{metadata}\n---\n\n" + "\n".join(body)


def folded(title: str, lines: Iterable[str]) -> list[str]:
    """Markdown that the hub shows on a click."""
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]


def _listed(facts: Iterable[tuple[str, str]]) -> list[str]:
    return [f"- {name}: {value}" for name, value in facts]


def section(title: str, lines: Iterable[str]) -> list[str]:
    """Markdown of the second level."""
    return [f"## {title}", "", *lines, ""]


def front_matter(
    origin: Origin,
    languages: Sequence[str],
    tags: Sequence[str],
    title: str,
    accuracy: Mapping[str, Mapping[str, float]],
) -> str:
    """The YAML that the hub reads, without unknown values.

    Args:
      title: of the model, for its results.
      accuracy: see `Measured`.
    """
    # late, for it takes as long as a tenth of JAX
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="text-generation", dataset_type=task, dataset_name=task, dataset_config=tag,
            metric_type="accuracy", metric_value=round(value, 4),
        )
        for task, by_language in accuracy.items()
        for tag, value in by_language.items()
    ]  # fmt: skip
    base = origin.get("base_model")
    data = ModelCardData(
        base_model=base[0] if base and len(base) == 1 else base,
        base_model_relation=_RELATION if base else None,
        language=[*languages] or None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["jaxprune", *tags],
        license=origin.get("license"),
        license_name=origin.get("license_name"),
        license_link=origin.get("license_link"),
        model_name=title if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _languages(fields: Mapping[str, Any], report: Mapping[str, Any]) -> list[str]:
    """Codes of the calibration set; of saved statistics those that they separate."""
    kind = KINDS[fields["calibration.kind"]]
    if fields["calibration.stats"]:
        return [
            *dict.fromkeys(code for codes in report.get("languages", {}).values() for code in codes)
        ]
    if not (kind.reads_text and measures(fields)):
        return []
    target = [fields["calibration.target"]] if kind.has_target else []
    return [*dict.fromkeys([*joined(fields["calibration.source"]), *target])]


def plain(text: str) -> str:
    """A text from outside, with its Markdown characters escaped."""
    return re.sub(r"[*`\[\]<>|\\]", r"\\\g<0>", one_line(text))


def _title(fields: Mapping[str, Any], origin: Origin) -> str:
    how = fields["pruning.pattern"]
    if how == UNSTRUCTURED:
        how = f"{100 * fields['pruning.sparsity']:g}%"
    return f"{PurePath(origin['name']).name}, pruned ({fields['pruning.criterion']}, {how})"


def named(origin: Origin) -> str:
    """The dense model, with a link if it is on the hub."""
    name, base = as_code(origin["name"]), origin.get("base_model", [])
    if origin["name"] in base:
        return f"[{origin['name']}](https://huggingface.co/{origin['name']})"
    if base:
        cards = ", ".join(map(as_code, base))
        return f"{name}, a local folder whose card names {cards} as its base model,"
    return f"{name}, a local folder without a known hub id,"


def _lead(fields: Mapping[str, Any], report: Mapping[str, Any], zeros: str) -> list[str]:
    origin = report["origin"]
    pattern, where, kernels = fields["pruning.pattern"], "", ""
    if pattern != UNSTRUCTURED:
        where, kernels = f", in the pattern {pattern}", " without kernels that use the pattern"
    others = "Nothing was trained: all other weights are bit-identical to the dense model's."
    same = "Embeddings, norms, biases and the head"
    if "pruned" in report:
        others = (
            "Other weights, norms and biases of its blocks were then fitted to the dense model."
        )
        same = "Embeddings and the head"
    elif "changed" in report["digests"]:
        others = f"The method {as_code(fields['pruning.criterion'])} changed other weights of these layers."
    share, sizes = share_of_all(report), file_sizes(report)
    of_all = "" if share is None else f", {percent(share)}% of all parameters,"
    return [
        f"# {plain(_title(fields, origin))}",
        "",
        f"{named(origin)} with {zeros}% of the weights in the linear layers of its blocks{of_all} set to zero. "
        f"{others} {same} are those of the dense model.",
        "",
        f"Zeros are stored and multiplied like other numbers{where}: size and speed are unchanged{kernels}."
        + (f" Files of the weights: {sizes}." if sizes else ""),
        "",
    ]


def loading(has_tokenizer: bool, whose: str = "that of the dense model") -> Iterator[str]:
    """Lines of Python.

    Args:
      whose: what the tokenizer is.
    """
    yield from (
        "```python",
        f"from transformers import AutoModelForCausalLM{', AutoTokenizer' if has_tokenizer else ''}",
        "",
        'name = "."  # this folder, or its id on the hub',
        "model = AutoModelForCausalLM.from_pretrained(name)",
    )
    if has_tokenizer:
        yield "tokenizer = AutoTokenizer.from_pretrained(name)"
        yield from ("```", "", f"The tokenizer is {whose}.")
    else:
        yield "```"


def terms(origin: Origin) -> str:
    """The licence of the dense model."""
    if "license" not in origin:
        return "That of the dense model, whose card does not name it: read its terms before use."
    name = origin.get("license_name")
    licence = as_code(origin["license"]) + (f" ({as_code(name)})" if name else "")
    return f"That of the dense model, according to its card: {licence}. jaxprune adds no terms."
