"""The JSON files of a run as they are written, and copies in which one value is another."""

import json

from jaxprune.base.workdir.json_files import content_digest

SHA = "0" * 64
REPORT = {
    "sparsity": {"overall": 0.3, "layers": [0.3, 0.3], "kernels": {"mlp/up/kernel": 0.3, "b": 0.3}},
    "parameters": {"all": 1000, "dropped": 300},
    "weight_bytes": {"dense": 5_000_000, "hf": 5_000_000},
    "tokens": {"translation": 8874},
    "seconds": {"prepare": 0.1, "total": 2},
    "peak_memory_bytes": {"host": 600_000_000},
    "digests": {"weights": SHA, "masks": SHA, "calibration": SHA},
    "environment": {"jax": "0.7.1", "processes": 1},
    "identity": {"code": SHA, "seed": 0, "pruning.sparsity": 0.3},
    "models": {"dense": SHA, "hf": SHA},
    "origin": {"name": "a/b", "base_model": ["a/b"], "language": ["fr"], "license": "mit"},
}
TABLE = {"a.npz": [3, SHA], "b.npz": [4, SHA]}


def with_digest(report):
    """A report with the digest of its content."""
    return {**report, "sha256": content_digest(report)}


def write_report(file, report):
    """Writes a report.json that is as it was written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(with_digest(report)), encoding="utf-8")


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
