"""The files in cluster/: shell that is clean, and commands that are ours. cluster/slurm/try.sh runs them on a Slurm."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from ci_packages import needs, program_path, shellcheck_says

from jaxprune.cli.main import COMMANDS

needs("hadolint", "jsonschema", "kubernetes_validate", "shellcheck")

import jsonschema  # noqa: E402
from manifests import documents  # noqa: E402

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "cluster/slurm").iterdir())
MANIFESTS = sorted((ROOT / "cluster/kubernetes").iterdir())
TASKS = sorted((ROOT / "cluster/skypilot").iterdir())
PAGE = (ROOT / "docs/guide/cluster.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_clean(script):
    assert shellcheck_says(script) == ""
    assert "\nset -euo pipefail\n" in script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK)


def test_the_image_is_clean():
    hadolint = program_path("hadolint")
    done = subprocess.run(
        [hadolint, "--no-color", ROOT / "cluster/Dockerfile"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_file_is_on_the_page_and_every_command_exists():
    for file in (*SCRIPTS, *MANIFESTS, *TASKS):
        assert str(file.relative_to(ROOT)) in PAGE
    for text in (PAGE, *(file.read_text(encoding="utf-8") for file in (*SCRIPTS, *TASKS))):
        for command in re.findall(r"(?:jaxprune|run\.sbatch\"?) ([a-z]+)", text):
            assert command in COMMANDS


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda path: path.name)
def test_manifests_fit_the_schemas_and_their_commands_exist(file):
    for document in documents(file.read_text(encoding="utf-8")):
        assert document["spec"]["suspend"] == (
            "kueue.x-k8s.io/queue-name" in document["metadata"]["labels"]
        )
        jobs = document["spec"].get("replicatedJobs", [{"template": document}])
        for job in jobs:
            spec = job["template"]["spec"]
            (container,) = spec["template"]["spec"]["containers"]
            program, command, *flags = container["command"]
            assert (program, command in COMMANDS) == ("jaxprune", True)
            shares = [flag for flag in flags if flag.startswith(("--shard=auto/", "--processes="))]
            assert [int(re.split("[/=]", flag)[-1]) for flag in shares] == [spec["completions"]]
            assert spec["parallelism"] == spec["completions"]


@pytest.mark.parametrize("file", TASKS, ids=lambda path: path.name)
def test_tasks_of_skypilot_fit_its_schema(file, tmp_path):
    schema = json.loads((ROOT / "tests/skypilot_schema.json").read_text(encoding="utf-8"))
    task = yaml.safe_load(file.read_text(encoding="utf-8"))
    jsonschema.validate(task, schema)
    assert task["envs"]["BUCKET"] is None, "a user must name it"
    for step in ("setup", "run"):
        known = {*task["envs"], "SKYPILOT_NODE_RANK", "SKYPILOT_NUM_NODES"}
        script = "#!/bin/bash\n" + "".join(f"{name}=given\n" for name in sorted(known)) + task[step]
        (tmp_path / step).write_text(script, encoding="utf-8")
        assert shellcheck_says(tmp_path / step, "--exclude=SC2034") == ""
