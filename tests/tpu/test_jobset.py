"""tpu/jobset.yaml, as it stands and as README edits it for one host, against the schemas and itself."""

import math
import re
import subprocess
from pathlib import Path

import pytest
from ci_packages import needs

needs("jsonschema", "kubernetes_validate")

from manifests import documents  # noqa: E402

ROOT = Path(__file__).parents[2]
README = (ROOT / "tpu" / "README.md").read_text(encoding="utf-8")


def manifests(chips):
    """The documents of jobset.yaml by kind; for 8 chips through the command of the README."""
    text = (ROOT / "tpu" / "jobset.yaml").read_text(encoding="utf-8")
    if chips == 8:
        (edit,) = re.findall(r"^sed -E '(.*v5e-8.*?)' tpu", README, re.MULTILINE)
        text = subprocess.run(
            ["sed", "-E", edit], input=text, capture_output=True, text=True, check=True
        ).stdout
        assert "v5e-8: " not in text.partition("---")[2]
    return {document["kind"]: document for document in documents(text)}


@pytest.mark.parametrize("chips", [8, 16])
def test_the_manifest_fits_its_schema(chips):
    assert list(manifests(chips)) == ["StorageClass", "PersistentVolumeClaim", "JobSet"]


@pytest.mark.parametrize(("chips", "hosts"), [(8, 1), (16, 4)])
def test_the_manifest_agrees_with_itself(chips, hosts):
    found = manifests(chips)
    claim, (job,) = found["PersistentVolumeClaim"], found["JobSet"]["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    topology = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"]
    requests, limits = container["resources"]["requests"], container["resources"]["limits"]
    assert spec["parallelism"] == spec["completions"] == hosts
    assert hosts * limits["google.com/tpu"] == math.prod(map(int, topology.split("x"))) == chips
    assert requests == limits
    assert ("--distributed" in container["command"]) == (hosts > 1)
    # a restart of one process alone would wait for the others
    assert (pod["restartPolicy"], spec["backoffLimit"]) == ("Never", 0)
    assert found["JobSet"]["spec"]["failurePolicy"]["maxRestarts"] > 0
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert claim["spec"]["storageClassName"] == found["StorageClass"]["metadata"]["name"]
    (volume,), (mount,) = pod["volumes"], container["volumeMounts"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert volume["name"] == mount["name"]
    (workdir,) = [w.partition("=")[2] for w in container["command"] if w.startswith("--workdir=")]
    assert Path(workdir).is_relative_to(mount["mountPath"])
