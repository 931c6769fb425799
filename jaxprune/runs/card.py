"""A run's config and report, and what was measured since → the model card of its Hugging Face folder, Markdown."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypedDict

from flax.traverse_util import flatten_dict

from jaxprune.calibration import KINDS, language
from jaxprune.errors import one_line
from jaxprune.files import Count, Scalar, from_json
from jaxprune.hf import Origin
from jaxprune.planning import PruneConfig
from jaxprune.pruning import CRITERIA, PROPAGATIONS
from jaxprune.runs.records import Digests, Sparsity
from jaxprune.schema import check, fields_of
from jaxprune.tables import as_code, count, percent, pipes

_PAPER = "https://arxiv.org/abs/2409.16911"
# Of the values that the hub knows (adapter, merge, quantized, finetune) the one for changed weights of the same shapes.
_RELATION = "finetune"
_VERSIONS = ("jaxprune", "jax", "numpy", "transformers")
_TAGS = ("jaxprune", "pruned", "sparse")
_UNSTRUCTURED = "unstructured"
_SHORT = r"\w[\w.-]*(/\w[\w.-]*)?"  # an id of the hub or a name; of other paths only the last part is told
_NOT_MEASURED = ("## Accuracy by language", "", "Not measured yet.", "")
# What a card tells of a config.
_FIELDS = {
    path: field
    for path, field in fields_of(PruneConfig).items()
    if path.partition(".")[0] in ("dtype", "compat", "seed", "pruning", "calibration")
}


class _Report(TypedDict):
    origin: Origin
    sparsity: Sparsity
    tokens: dict[str, Count]
    digests: Digests
    environment: dict[str, Scalar]


@dataclasses.dataclass(frozen=True)
class Measured:
    """What evaluations say of a pruned model.

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
      config: as config.json has it.
      report: as report.json has it, with `origin`.
      measured: none before the model was evaluated.

    Raises:
      InputError: a value that a card tells is missing or not what it should be.
    """
    from huggingface_hub import ModelCard  # late, for it takes as long as a tenth of JAX

    asked, found = _asked(config), from_json(_Report, report, "report.json")
    results = measured or Measured()
    body = [
        *_lead(asked, found),
        *_how(asked, found),
        *_sparsity(found["sparsity"]),
        *(results.lines or _NOT_MEASURED),
        *_loading(found["origin"]),
        *_terms(found["origin"]),
    ]
    metadata = _metadata(asked, found["origin"], results.accuracy)
    return str(ModelCard(f"---\n{metadata}\n---\n\n" + "\n".join(body) + "\n"))


def _asked(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a config that a card tells, by path, each checked."""
    flat = flatten_dict(dict(config), sep=".")
    for path, field in _FIELDS.items():
        check(f"config.json: {path}", flat.get(path), field)
    return flat


def _metadata(
    config: Mapping[str, Any], origin: Origin, accuracy: Mapping[str, Mapping[str, float]]
) -> str:
    """Front matter; what is not known is not in it."""
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
        language=origin.get("language") or _languages(config) or None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=[*_TAGS, config["pruning.criterion"], config["pruning.pattern"]],
        model_name=_title(config, origin) if results else None,
        eval_results=results or None,
        license=origin.get("license"),
        license_name=origin.get("license_name"),
        license_link=origin.get("license_link"),
    )
    return data.to_yaml()


def _measures(config: Mapping[str, Any]) -> bool:
    return bool(CRITERIA[config["pruning.criterion"]].measures)


def _languages(config: Mapping[str, Any]) -> list[str]:
    """Codes of the calibration set."""
    kind = KINDS[config["calibration.kind"]]
    if not (kind.reads_text and _measures(config)):
        return []
    target = [config["calibration.target"]] if kind.translates else []
    return [*dict.fromkeys([*config["calibration.source"].split(","), *target])]


def _plain(text: str) -> str:
    """A text from outside, none of whose characters is Markdown."""
    return re.sub(r"[*`\[\]<>|\\]", r"\\\g<0>", one_line(text))


def _title(config: Mapping[str, Any], origin: Origin) -> str:
    how = config["pruning.pattern"]
    if how == _UNSTRUCTURED:
        how = f"{100 * config['pruning.sparsity']:g}%"
    return f"{PurePath(origin['name']).name}, pruned ({config['pruning.criterion']}, {how})"


def _lead(config: Mapping[str, Any], report: _Report) -> Iterator[str]:
    origin = report["origin"]
    yield f"# {_plain(_title(config, origin))}"
    yield ""
    named = as_code(origin["name"])
    base = origin.get("base_model", [])
    if origin["name"] in base:
        named = f"[{origin['name']}](https://huggingface.co/{origin['name']})"
    elif base:
        named += (
            f", a local folder whose card names {', '.join(map(as_code, base))} as its base model,"
        )
    else:
        named += ", a local folder of which no hub id is known,"
    zeros = percent(report["sparsity"]["overall"])
    yield (
        f"{named} with {zeros}% of the weights in the linear layers of its blocks set to zero. Nothing was "
        "trained: every other weight has the bits that it had. Embeddings, norms, biases and the head are those of "
        "the dense model."
    )
    yield ""
    pattern = config["pruning.pattern"]
    if pattern == _UNSTRUCTURED:
        yield "Zeros stay where the weights were: this model is as large as the dense one, and as fast."
    else:
        yield (
            f"Zeros stay where the weights were, in the pattern {pattern}: this model is as large as the dense one, "
            "and as fast without kernels that use the pattern."
        )
    yield ""


def _how(config: Mapping[str, Any], report: _Report) -> Iterator[str]:
    yield "## How it was pruned"
    yield ""
    yield from (f"- {name}: {value}" for name, value in _facts(config, report))
    yield ""
    yield (
        f"jaxprune implements [Pruning Multilingual Large Language Models for Multilingual Inference]({_PAPER}) (Kim, "
        "Suzuki, Hirasawa, Komachi; Findings of EMNLP 2024) and is not by the authors of that paper."
    )
    yield ""


def _facts(config: Mapping[str, Any], report: _Report) -> Iterator[tuple[str, str]]:
    criterion = CRITERIA[config["pruning.criterion"]]
    yield "criterion", f"{as_code(criterion.name)}: {criterion.meaning}"
    if config["pruning.pattern"] == _UNSTRUCTURED:
        yield "asked for", f"{percent(config['pruning.sparsity'])}% of the inputs of each output"
    else:
        kept, group = config["pruning.pattern"].split(":")
        yield "asked for", f"{kept}:{group}, of every {group} inputs of an output {kept} are kept"
    if config["pruning.threshold"] != "row":
        yield "threshold", as_code(config["pruning.threshold"])
    if config["pruning.drop"] != "lowest":
        yield "dropped", f"the {config['pruning.drop']} scores"
    if _measures(config):
        propagation = PROPAGATIONS[config["pruning.propagate"]]
        yield "statistics from", f"{as_code(propagation.name)}: {propagation.meaning}"
        yield "calibration set", _calibration(config)
        tokens = report["tokens"].items()
        yield "tokens in it", ", ".join(f"{count(number)} ({role})" for role, number in tokens)
    else:
        yield "calibration set", "none, this criterion needs no data"
    yield "computed in", as_code(config["dtype"])
    yield "seed", str(config["seed"])
    if config["compat"] != "corrected":
        yield "compat", f"{as_code(config['compat'])}: as the code of the paper's authors does it"
    found = report["environment"]
    yield "versions", ", ".join(f"{name} {found[name]}" for name in _VERSIONS if name in found)
    yield "SHA-256 of the masks", as_code(report["digests"]["masks"])


def _calibration(config: Mapping[str, Any]) -> str:
    kind = KINDS[config["calibration.kind"]]
    data = config["calibration.data"]
    shown = as_code(data if re.fullmatch(_SHORT, data) else PurePath(data).name)
    if not kind.reads_text:
        return f"{kind.meaning}, {shown}"
    source = ", ".join(map(_language, config["calibration.source"].split(",")))
    pair = f"{source} → {_language(config['calibration.target'])}" if kind.translates else source
    samples, shots = config["calibration.samples"], config["calibration.shots"]
    return f"{samples} samples of {shots} {kind.meaning}, {pair}, from {shown}"


def _language(tag: str) -> str:
    return f"{language(tag).name} ({tag})"


def _sparsity(sparsity: Sparsity) -> Iterator[str]:
    yield "## Sparsity"
    yield ""
    rows = [
        [as_code(name.removesuffix("/kernel")), percent(s)]
        for name, s in sparsity["kernels"].items()
    ]
    yield from _table(["kernel", "zeros, %"], [*rows, ["all", percent(sparsity["overall"])]])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from pipes(header, rows)
    yield ""


def _loading(origin: Origin) -> Iterator[str]:
    yield "## How to load it"
    yield ""
    tokenizer = origin.get("has_tokenizer", False)
    yield "```python"
    yield f"from transformers import AutoModelForCausalLM{', AutoTokenizer' if tokenizer else ''}"
    yield ""
    yield 'name = "."  # this folder, or the id that it has on the hub'
    yield "model = AutoModelForCausalLM.from_pretrained(name)"
    if tokenizer:
        yield "tokenizer = AutoTokenizer.from_pretrained(name)"
    yield "```"
    yield ""
    if tokenizer:
        yield "The tokenizer is that of the dense model."
        yield ""


def _terms(origin: Origin) -> Iterator[str]:
    yield "## Licence"
    yield ""
    if "license" in origin:
        name = origin.get("license_name")
        yield (
            f"That of the dense model, as its card says: {as_code(origin['license'])}"
            f"{f' ({as_code(name)})' if name else ''}. jaxprune adds no terms."
        )
    else:
        yield "That of the dense model. It came without a card that names it: look there before you use or share this."
