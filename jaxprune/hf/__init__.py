"""Hugging Face folders and hub ids → models that are read part by part; pruned parameters → Hugging Face folders."""

from jaxprune.hf.export import HfWriter, export_hf, exported_beside
from jaxprune.hf.fields import FIELDS
from jaxprune.hf.fingerprint import Fingerprint, combined, exported_digest
from jaxprune.hf.model import Model, load
from jaxprune.hf.source import InMemory, ParameterSource
from jaxprune.hf.tensors import ShardWriter
from jaxprune.hf.weights import shapes, size, to_stored

__all__ = [
    "FIELDS",
    "Fingerprint",
    "HfWriter",
    "InMemory",
    "Model",
    "ParameterSource",
    "ShardWriter",
    "combined",
    "export_hf",
    "exported_beside",
    "exported_digest",
    "load",
    "shapes",
    "size",
    "to_stored",
]
