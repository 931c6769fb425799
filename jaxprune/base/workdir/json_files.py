"""The JSON files of a workdir: their names, and the digest that shows whether a report.json was changed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

REPORT, CONFIG = "report.json", "config.json"
EVALUATION = "evaluation.json"  # in each folder of an evaluation; no figures

# The content of report.json. The guide, docs/guide/files.md, describes its keys.
Report = dict[str, Any]


def content_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 of the content of a record without its key `sha256`, which has this digest."""
    content = {name: value for name, value in record.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
