"""The JSON files of a run's workdir, as who reads them may count on: a key may be missing, one that is there fits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from jaxprune.hf import Origin
from jaxprune.schema import Count, Hexadecimal, Scalar, Seconds, Share


class Sparsity(TypedDict):
    """Shares of weights that were dropped."""

    overall: Share
    layers: Annotated[list[Share], Meta(min_length=1)]
    kernels: Annotated[dict[str, Share], Meta(min_length=1)]


class Digests(TypedDict):
    """SHA-256 of what was computed, over all layers."""

    masks: Hexadecimal
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
    """report.json. `card` is size and SHA-256 of a model card that was written anew after the run."""

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
    card: tuple[int, str]
    files: dict[str, tuple[int, str]]
    sha256: Hexadecimal


class Asked(TypedDict, total=False):
    """A group of config.json, as far as a page tells of it in words."""

    criterion: str
    pattern: str
    sparsity: Share | None
    source: str
    target: str


class Written(TypedDict, total=False):
    """The group `output` of config.json, as far as it is asked for later."""

    card: bool


class RunConfig(TypedDict, total=False):
    """config.json."""

    model: str
    pruning: Asked
    calibration: Asked
    output: Written


class Begun(TypedDict, total=False):
    """run.json of an unfinished run."""

    identity: dict[str, Scalar]
    samples_per_device: Annotated[int, Meta(ge=1, le=2**31)]
    sha256: Hexadecimal


class MetricsIdentity(TypedDict, total=False):
    """What every metrics.json tells of the model and of what it was asked."""

    model_sha256: Hexadecimal | None
    identity: dict[str, Scalar]


def digest_of_rest(record: Mapping[str, Any]) -> str:
    """SHA-256 of what a record holds beside the digest itself, `sha256`."""
    rest = {name: value for name, value in record.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
