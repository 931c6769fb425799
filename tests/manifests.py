"""Kubernetes manifests against the published schemas."""

import json
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

VERSION = "1.33"
_JOBSET = json.loads((Path(__file__).parent / "jobset_schema.json").read_text(encoding="utf-8"))


def documents(text):
    """The documents of a manifest, none of which the API server would reject for its form."""
    found = [*yaml.safe_load_all(text)]
    for document in found:
        _check(document)
    return found


def _check(document):
    if document.get("kind") != "JobSet":
        kubernetes_validate.validate(document, VERSION, strict=True)
        return
    jsonschema.validate(document, _JOBSET)
    about = {"apiVersion": "batch/v1", "kind": "Job", "metadata": document["metadata"]}
    for job in document["spec"]["replicatedJobs"]:
        kubernetes_validate.validate(
            about | {"spec": job["template"]["spec"]}, VERSION, strict=True
        )
