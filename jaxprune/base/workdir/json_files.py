"""Types of the JSON files of a workdir, which readers check: keys may be missing, values must fit."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from jaxprune.base.files import Count, Finite, Hexadecimal, Scalar, Seconds, Share

REPORT, CONFIG = "report.json", "config.json"
EVALUATION = "evaluation.json"  # in each folder of an evaluation; no figures


class Sparsity(TypedDict):
    """Shares of weights that were dropped."""

    overall: Share
    layers: Annotated[list[Share], Meta(min_length=1)]
    kernels: Annotated[dict[str, Share], Meta(min_length=1)]


class Digests(TypedDict):
    """SHA-256 of all layers' masks and weights, and of the calibration set."""

    masks: Hexadecimal
    changed: NotRequired[Hexadecimal]
    weights: NotRequired[Hexadecimal]
    calibration: NotRequired[Hexadecimal]


class Models(TypedDict):
    """`Fingerprint.digest` of the dense model and of the exported one."""

    dense: Hexadecimal
    hf: NotRequired[Hexadecimal]


class Parameters(TypedDict):
    """Numbers of the dense model's parameters, and of those that were dropped."""

    all: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    dropped: Count


class Compiled(TypedDict):
    """Seconds to compile programs or read them from the cache; their number, and the number from the cache."""

    seconds: Seconds
    programs: Count
    kept: Count


class Allocated(TypedDict, total=False):
    """Requested shares by layer, the numbers from which they were computed, and the ignored kernels, as 0/mlp/down."""

    shares: list[Share]
    measured: list[Finite]
    ignored: list[str]


class PrunedBefore(TypedDict):
    """The pruning run before a recovery: its config.json and keys of its report.json; configs of earlier recoveries."""

    config: dict[str, Any]
    recoveries: NotRequired[list[dict[str, Any]]]
    tokens: dict[str, Count]
    languages: NotRequired[dict[str, dict[str, Count]]]
    allocation: NotRequired[Allocated]
    damping: NotRequired[dict[str, dict[str, Annotated[float, Meta(gt=0, le=10)]]]]


class Sizes(TypedDict):
    """A number of the dense model and of the smaller one."""

    before: Count
    after: Count


class Splits(TypedDict):
    """The texts of a language: their number, how many split as before, and their tokens before and after."""

    texts: Count
    same: Count
    before: Count
    after: Count


class Differences(TypedDict):
    """The largest differences over some texts that split as before: of hidden states and logits of kept tokens."""

    texts: Count
    hidden: Finite
    logits: Finite


class DroppedLayers(TypedDict):
    """The dropped layers in the order of their choice, and the influence of all layers by language."""

    dropped: list[Count]
    influence: dict[str, list[Finite]]


class NarrowBlocks(TypedDict):
    """For each block the share by language that its neurons have, and the damping of their Gram matrix."""

    shares: dict[str, list[Share]]
    damping: list[Annotated[float, Meta(gt=0, le=10)]]


class Shrunk(TypedDict):
    """A smaller model: sizes, texts by language that were selected or held out, dropped layers and neurons.

    After a recovery `config` is the config.json of the run that made it, `recoveries` those of earlier recoveries.
    """

    tokens: Sizes
    layers: Sizes
    parameters: Sizes
    selection: NotRequired[dict[str, Splits]]
    heldout: NotRequired[dict[str, Splits]]
    differences: NotRequired[Differences]
    depth: NotRequired[DroppedLayers]
    neurons: NotRequired[Sizes]
    width: NotRequired[NarrowBlocks]
    config: NotRequired[dict[str, Any]]
    recoveries: NotRequired[list[dict[str, Any]]]


class Origin(TypedDict):
    """The known facts about the dense model; keys except the first and last are those of front matter.

    Licence and languages come from its card; `base_model` is its hub id, or for a local folder the `base_model` of its
    card. `name` is the hub id or the last part of the folder's path.
    """

    name: str
    base_model: NotRequired[list[str]]
    license: NotRequired[str]
    license_name: NotRequired[str]
    license_link: NotRequired[str]
    language: NotRequired[list[str]]
    has_tokenizer: NotRequired[bool]


class Report(TypedDict, total=False):
    """report.json; `gram_width` is the largest size of a Gram matrix that the method read."""

    sparsity: Sparsity
    allocation: Allocated
    tokens: dict[str, Count]
    gram_width: Count
    languages: dict[str, dict[str, Count]]
    seconds: dict[str, Seconds]
    compilation: Compiled
    peak_memory_bytes: dict[str, Count]
    parameters: Parameters
    weight_bytes: dict[str, Count]
    digests: Digests
    damping: dict[str, dict[str, Annotated[float, Meta(gt=0, le=10)]]]
    pruned: PrunedBefore
    losses: list[tuple[float, float]]
    shrunk: Shrunk
    environment: dict[str, Scalar]
    identity: dict[str, Scalar]
    calibration_lines: list[Hexadecimal]
    models: Models
    origin: Origin
    files: dict[str, tuple[int, str]]
    sha256: Hexadecimal


class PruningSettings(TypedDict, total=False):
    """The keys of the group `pruning` of config.json that readers use."""

    criterion: str
    pattern: str
    allocation: str
    sparsity: Share | None


class CalibrationSettings(TypedDict, total=False):
    """The keys of the group `calibration` of config.json that readers use."""

    kind: str
    source: str
    target: str
    stats: str | None


class OutputSettings(TypedDict, total=False):
    """The keys of the group `output` of config.json that readers use."""

    card: bool


class RunConfig(TypedDict, total=False):
    """config.json."""

    model: str
    pruning: PruningSettings
    calibration: CalibrationSettings
    output: OutputSettings


class Record(TypedDict, total=False):
    """run.json of an unfinished run: its identity, choices that depend on memory, and `pruning.measure_blocks`."""

    identity: dict[str, Scalar]
    samples_per_device: Annotated[int, Meta(ge=1, le=2**31)]
    by_site: bool
    measured: list[Finite]


class ScoreOrigin(TypedDict, total=False):
    """The keys of an evaluation.json that identify the run, the scored model and the data."""

    model_sha256: Hexadecimal | None
    run: str
    identity: dict[str, Scalar]


def content_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of the content of a record without its key `sha256`, which has this digest."""
    content = {name: value for name, value in record.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
