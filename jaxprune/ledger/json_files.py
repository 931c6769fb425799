"""The JSON files of a workdir, as readers may count on them: a key may be missing, one that is there fits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from jaxprune.files import Count, Hexadecimal, Scalar, Seconds, Share
from jaxprune.hf import Origin

REPORT, CONFIG = "report.json", "config.json"


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
    """`Fingerprint.digest` of the model that was pruned, and of the one that is written."""

    dense: Hexadecimal
    hf: NotRequired[Hexadecimal]


class Compiled(TypedDict):
    """Seconds of the compiler, or of reading what it made before; programs, and how many had been made before."""

    seconds: Seconds
    programs: Count
    kept: Count


class Report(TypedDict, total=False):
    """report.json."""

    sparsity: Sparsity
    tokens: dict[str, Count]
    languages: dict[str, dict[str, Count]]
    seconds: dict[str, Seconds]
    compilation: Compiled
    peak_memory_bytes: dict[str, Count]
    digests: Digests
    environment: dict[str, Scalar]
    identity: dict[str, Scalar]
    models: Models
    origin: Origin
    files: dict[str, tuple[int, str]]
    sha256: Hexadecimal


class PruningSettings(TypedDict, total=False):
    """The group `pruning` of config.json, as far as readers use it."""

    criterion: str
    pattern: str
    sparsity: Share | None


class CalibrationSettings(TypedDict, total=False):
    """The group `calibration` of config.json, as far as readers use it."""

    source: str
    target: str


class OutputSettings(TypedDict, total=False):
    """The group `output` of config.json, as far as readers use it."""

    card: bool


class RunConfig(TypedDict, total=False):
    """config.json."""

    model: str
    pruning: PruningSettings
    calibration: CalibrationSettings
    output: OutputSettings


class Begun(TypedDict, total=False):
    """run.json of an unfinished run."""

    identity: dict[str, Scalar]
    samples_per_device: Annotated[int, Meta(ge=1, le=2**31)]
    sha256: Hexadecimal


class ScoreOrigin(TypedDict, total=False):
    """A metrics.json, as far as it tells which model was scored and what it was asked."""

    model_sha256: Hexadecimal | None
    identity: dict[str, Scalar]


def content_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of the content of a record, but for the key that holds this digest, `sha256`."""
    content = {name: value for name, value in record.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
