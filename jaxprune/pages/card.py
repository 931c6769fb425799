"""Config, report and evaluations of a run → the model card of its Hugging Face folder, in Markdown."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from jaxprune.base.errors import InputError
from jaxprune.base.templates import render
from jaxprune.base.text import Table, as_code, percent, pipes
from jaxprune.base.workdir.reading import GGUF
from jaxprune.data.kinds import KINDS
from jaxprune.data.languages import joined, language
from jaxprune.pages.facts import (
    commands,
    measures,
    pruned_fields,
    run_facts,
    share_of_all,
    versions,
)
from jaxprune.pages.packed_model import pack_command, result_table, verdict
from jaxprune.pages.smaller_facts import languages_of, split_table
from jaxprune.pruning.budget import UNSTRUCTURED

# The relations of the hub for changed weights; the others are adapter and merge.
_RELATION = "finetune"
_QUANTIZED = "quantized"
# The facts of a packed model; its calibration follows from the command.
_PACKED_FACTS = (
    "quantize.grid",
    "linear layers by grid",
    "quantize.how",
    "quantize.embedding",
    "warning",
    GGUF,
)


@dataclasses.dataclass(frozen=True)
class Measured:
    """The results of evaluations of a pruned or smaller model.

    Attributes:
      text: Markdown, sections of the second level.
      accuracy: accuracy by task and language code, in [0, 1].
    """

    text: str = ""
    accuracy: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)


def model_card(
    config: Mapping[str, Any],
    report: Mapping[str, Any],
    measured: Measured | None = None,
    packed: Mapping[str, Any] | None = None,
) -> str:
    """The text of a README.md with the front matter that the Hugging Face hub reads.

    Args:
      config: the content of config.json.
      report: the content of report.json of a pruned, recovered or smaller model, with `origin`.
      measured: the evaluations, if any.
      packed: the content of pack.json of a packed model.

    Raises:
      InputError: a value that a card shows is missing or wrong.
    """
    results, shrunk = measured or Measured(), report.get("shrunk")
    quantized = report.get("quantized")
    needed = () if shrunk or quantized else ("sparsity", "tokens", "digests")
    for name in ("origin", "environment", *needed):
        if name not in report:
            raise InputError(f"report.json: {name}: missing")
    origin = packed["origin"] if packed else report["origin"]
    table: Table | None
    if packed:
        languages, table = [*packed["result"]["languages"]], result_table(packed["result"])
        description = f"packed for {', '.join(language(code).name for code in languages)}"
        tags = ["packed", "quantized", "gguf"]
    elif shrunk:
        description, tags = "smaller", ["smaller"]
        languages, table = languages_of(shrunk), split_table(shrunk)
    elif quantized:
        description = f"quantized ({quantized['how']}, {quantized['grid']})"
        tags = ["quantized", "gguf", quantized["grid"]]
        sets = report.get("languages", {}).values()
        languages = [*dict.fromkeys(code for codes in sets for code in codes)]
        table = None
    else:
        fields = pruned_fields(config, report)
        pattern, criterion = fields["pruning.pattern"], fields["pruning.criterion"]
        is_pattern = pattern != UNSTRUCTURED
        target = pattern if is_pattern else f"{100 * fields['pruning.sparsity']:g}%"
        description = f"pruned ({criterion}, {target})"
        tags = ["pruned", "sparse", criterion, pattern]
        languages = origin.get("language") or _languages(fields, report)
        table = _sparsity_table(report["sparsity"])
    title = f"{PurePath(origin['name']).name}, {description}"
    return render(
        "card.md",
        metadata=_front_matter(origin, languages, tags, title, results.accuracy),
        quantized=quantized,
        title=title,
        model=_model_text(origin),
        share=share_of_all(report),
        shrunk=shrunk,
        packed=packed["result"] if packed else None,
        verdict=verdict(packed["result"]) if packed else "",
        sparsity=report.get("sparsity"),
        is_recovered="losses" in report,
        facts={
            name: value
            for name, value in run_facts(config, report).items()
            if not packed or name in _PACKED_FACTS
        },
        table="\n".join(pipes(table.header, table.rows)) if table else None,
        results=results.text,
        has_tokenizer=origin.get("has_tokenizer", False),
        commands=[as_code(pack_command(packed, is_public=True))]
        if packed
        else [as_code(line) for _, line in commands(config, report)],
        versions=versions(report),
        digests=report.get("digests", {}),
        licence=as_code(origin["license"]) if "license" in origin else None,
        licence_name=as_code(origin["license_name"]) if "license_name" in origin else None,
    )


def _sparsity_table(sparsity: Mapping[str, Any]) -> Table:
    shares = {as_code(name.removesuffix("/kernel")): x for name, x in sparsity["kernels"].items()}
    rows = [[name, percent(x)] for name, x in {**shares, "all": sparsity["overall"]}.items()]
    return Table("", ["kernel", "zeros, %"], rows)


def _front_matter(
    origin: Mapping[str, Any],
    languages: Sequence[str],
    tags: Sequence[str],
    title: str,
    accuracy: Mapping[str, Mapping[str, float]],
) -> str:
    """The YAML that the hub reads, without unknown values.

    Args:
      title: title of the model, for its results.
      accuracy: see `Measured`.
    """
    # imported late: takes a tenth of JAX's import time
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
        base_model_relation=(_QUANTIZED if _QUANTIZED in tags else _RELATION) if base else None,
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
    """Codes of the calibration set, or of the saved statistics."""
    kind = KINDS[fields["calibration.kind"]]
    if fields["calibration.stats"]:
        return [
            *dict.fromkeys(code for codes in report.get("languages", {}).values() for code in codes)
        ]
    if not (kind.reads_text and measures(fields)):
        return []
    target = [fields["calibration.target"]] if kind.has_target else []
    return [*dict.fromkeys([*joined(fields["calibration.source"]), *target])]


def _model_text(origin: Mapping[str, Any]) -> str:
    """The dense model, with a link if it is on the hub."""
    name, base = as_code(origin["name"]), origin.get("base_model", [])
    if origin["name"] in base:
        return f"[{origin['name']}](https://huggingface.co/{origin['name']})"
    if base:
        cards = ", ".join(map(as_code, base))
        return f"{name}, a local folder whose card names {cards} as its base model,"
    return f"{name}, a local folder without a known hub id,"
