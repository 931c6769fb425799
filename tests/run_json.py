"""The JSON files of a run as they are written, and copies in which one value is another."""

import json

from jaxprune.base.files import from_json, read_json

SHA = "0" * 64
REPORT = {
    "sparsity": {"overall": 0.3, "layers": [0.3, 0.3], "kernels": {"mlp/up/kernel": 0.3, "b": 0.3}},
    "parameters": {"all": 1000, "dropped": 300},
    "weight_bytes": {"dense": 5_000_000, "hf": 5_000_000},
    "tokens": {"translation": 8874},
    "seconds": {"prepare": 0.1, "total": 2},
    "compilation": {"seconds": 1.5, "programs": 18, "kept": 17},
    "peak_memory_bytes": {"host": 600_000_000},
    "digests": {"weights": SHA, "masks": SHA, "calibration": SHA},
    "environment": {"jax": "0.7.1", "processes": 1},
    "identity": {"code": SHA, "seed": 0, "pruning.sparsity": 0.3},
    "models": {"dense": SHA, "hf": SHA},
    "files": {"config.json": [3, SHA]},
    "origin": {"name": "a/b", "base_model": ["a/b"], "language": ["fr"], "license": "mit"},
}
CONFIG = {
    "model": "bloom",
    "calibration": {"source": "fr", "target": "en"},
    "pruning": {"criterion": "wanda", "sparsity": 0.3, "pattern": "unstructured"},
}
BEGUN = {"identity": {"code": SHA, "seed": 0}, "samples_per_device": 2}
TABLE = {"a.npz": [3, SHA], "b.npz": [4, SHA]}
SWEEP = {
    "config": {"seed": 0, "model": "bloom", "sweep.grid": "seed=0"},
    "digests": {"model": SHA},
}
EVALUATION = {"model_sha256": SHA, "run": "dense", "identity": {"tokenizer": SHA, "rows en": 12}}


def paths_of(value, above=()):
    """Of every value in a value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*above, key)
        if isinstance(inner, dict | list):
            yield from paths_of(inner, (*above, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def replaced(value, path, wrong):
    """A copy with another value there, or none."""
    copy = json.loads(json.dumps(value))
    inner = at(copy, path[:-1])
    if wrong is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = wrong
    return copy


def read_record(kind, file):
    """The record in a JSON file."""
    return from_json(kind, read_json(file), str(file))
