"""Config, report and evaluations of a run → the model card of its Hugging Face folder, in Markdown."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from jaxprune.base.errors import InputError
from jaxprune.base.templates import render
from jaxprune.base.text import Table, as_code, by_layer, percent, table_pipes
from jaxprune.data.kinds import KINDS
from jaxprune.data.languages import joined
from jaxprune.pruning.drop import UNSTRUCTURED
from jaxprune.runs.facts import (
    commands,
    few_tokens,
    file_sizes,
    measures,
    pruned_fields,
    pruning_facts,
    recovery_facts,
    share_of_all,
    versions,
)
from jaxprune.runs.smaller_facts import cuts, languages_of, remarks, sizes, split_table

# Of the relations of the hub (adapter, merge, quantized, finetune) the last means changed weights of the same shapes.
_RELATION = "finetune"
_REPORTED = ("origin", "sparsity", "tokens", "digests", "environment")


@dataclasses.dataclass(frozen=True)
class Measured:
    """The results of evaluations of a pruned or smaller model.

    Attributes:
      text: Markdown, sections of the second level.
      accuracy: by task and language code, in [0, 1].
    """

    text: str = ""
    accuracy: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)


def model_card(
    config: Mapping[str, Any], report: Mapping[str, Any], measured: Measured | None = None
) -> str:
    """The text of a README.md with the front matter that the Hugging Face hub reads.

    Args:
      config: the content of config.json.
      report: the content of report.json of a pruned, recovered or smaller model, with `origin`.
      measured: the evaluations, if any.

    Raises:
      InputError: a value that a card shows is missing or wrong.
    """
    results = measured or Measured()
    if "shrunk" in report:
        template, (facts, languages, tags) = "smaller_card.md", _smaller(report)
    else:
        template, (facts, languages, tags) = "pruned_card.md", _pruned(config, report)
    origin = report["origin"]
    return render(
        template,
        **facts,
        metadata=_front_matter(origin, languages, tags, facts["title"], results.accuracy),
        model=_named(origin),
        recovery=list(recovery_facts(config, report)) if "losses" in report else [],
        results=results.text,
        has_tokenizer=origin.get("has_tokenizer", False),
        commands=[as_code(line) for _, line in commands(config, report)],
        versions=versions(report),
        digests=report.get("digests", {}),
        licence=as_code(origin["license"]) if "license" in origin else None,
        licence_name=as_code(origin["license_name"]) if "license_name" in origin else None,
    )


_Description = tuple[dict[str, Any], Sequence[str], list[str]]  # facts, languages and tags


def _pruned(config: Mapping[str, Any], report: Mapping[str, Any]) -> _Description:
    fields = pruned_fields(config, report)
    for name in _REPORTED:
        if name not in report:
            raise InputError(f"report.json: {name}: missing")
    origin, sparsity, share = report["origin"], report["sparsity"], share_of_all(report)
    pattern, criterion = fields["pruning.pattern"], fields["pruning.criterion"]
    is_pattern = pattern != UNSTRUCTURED
    zeros = percent(sparsity["overall"])
    rows = [
        [as_code(name.removesuffix("/kernel")), percent(part)]
        for name, part in sparsity["kernels"].items()
    ]
    target = pattern if is_pattern else f"{100 * fields['pruning.sparsity']:g}%"
    facts = {
        "title": f"{PurePath(origin['name']).name}, pruned ({criterion}, {target})",
        "zeros": zeros,
        "share": None if share is None else percent(share),
        "pattern": pattern if is_pattern else None,
        "criterion": as_code(criterion),
        "sizes": file_sizes(report),
        "pruning": pruning_facts(fields, {**report, **report.get("pruned", {})}),
        "few_tokens": few_tokens(report),
        "sparsity": "\n".join(
            table_pipes(Table("", ["kernel", "zeros, %"], [*rows, ["all", zeros]]))
        ),
        "by_layer": by_layer(sparsity["layers"]),
    }
    languages = origin.get("language") or _languages(fields, report)
    return facts, languages, ["pruned", "sparse", criterion, pattern]


def _smaller(report: Mapping[str, Any]) -> _Description:
    shrunk, splits = report["shrunk"], split_table(report["shrunk"])
    facts = {
        "title": f"{PurePath(report['origin']['name']).name}, smaller",
        "cuts": cuts(shrunk),
        "is_narrow": "width" in shrunk,
        "sizes": sizes(report),
        "splits": "\n".join(table_pipes(splits)) if splits else None,
        "remarks": remarks(shrunk),
    }
    return facts, languages_of(shrunk), ["smaller"]


def _front_matter(
    origin: Mapping[str, Any],
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


def _named(origin: Mapping[str, Any]) -> str:
    """The dense model, with a link if it is on the hub."""
    name, base = as_code(origin["name"]), origin.get("base_model", [])
    if origin["name"] in base:
        return f"[{origin['name']}](https://huggingface.co/{origin['name']})"
    if base:
        cards = ", ".join(map(as_code, base))
        return f"{name}, a local folder whose card names {cards} as its base model,"
    return f"{name}, a local folder without a known hub id,"
