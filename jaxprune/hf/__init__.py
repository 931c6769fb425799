"""Hugging Face folders and hub ids → models that are read part by part; pruned parameters → Hugging Face folders."""

from jaxprune.hf.aligned import aligned_cast
from jaxprune.hf.export import HfWriter, export_hf, exported_beside
from jaxprune.hf.fingerprint import Fingerprint, combined, exported_digest
from jaxprune.hf.model import Model, check_model, load
from jaxprune.hf.origin import Origin, origin_of
from jaxprune.hf.shards import ShardWriter
from jaxprune.hf.source import ParameterSource
from jaxprune.hf.weights import STORED, exported_specs, shapes, size, stack_layers, to_stored

__all__ = [
    "STORED",
    "Fingerprint",
    "HfWriter",
    "Model",
    "Origin",
    "ParameterSource",
    "ShardWriter",
    "aligned_cast",
    "check_model",
    "combined",
    "export_hf",
    "exported_beside",
    "exported_digest",
    "exported_specs",
    "load",
    "origin_of",
    "shapes",
    "size",
    "stack_layers",
    "to_stored",
]
