"""The scripts in tpu/ and the commands of its README, with a stand-in for gcloud. No TPU is involved."""

import os
import re
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from ci_packages import needs, shellcheck_says
from roofline import floor

from jaxprune.cli.config.record import FIELDS
from jaxprune.cli.config.validate import validate
from jaxprune.steps.planning.chips import CHIPS, rented
from jaxprune.steps.planning.costs import operations
from jaxprune.steps.planning.plan import plan_from_config

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "tpu").glob("*.sh"))
README = (ROOT / "tpu" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
SETTINGS = {
    "NAME": "bloom", "PROJECT": "p-1", "ZONE": "us-west4-a", "ACCELERATOR": "v5litepod-8",
    "RUNTIME_VERSION": "v2-alpha-tpuv5-lite", "CONFIG": "configs/bloom.py:7b1", "WORKDIR": "runs/bloom",
}  # fmt: skip
SLICE = {"ACCELERATOR": "v5litepod-16", "WORKDIR": "/mnt/jaxprune/bloom", "SHARE": "10.0.0.2:/runs"}
LIST = (
    "gcloud compute tpus queued-resources list --project=p-1 --zone=us-west4-a "
    "'--format=value(name.basename(),state.state)'"
)
CREATE = (
    "gcloud compute tpus queued-resources create bloom --node-id=bloom --project=p-1 --zone=us-west4-a "
    "--accelerator-type=v5litepod-8 --runtime-version=v2-alpha-tpuv5-lite"
)
DELETE = "gcloud compute tpus queued-resources delete bloom --project=p-1 --zone=us-west4-a --force --quiet"

# Writes down how it was called. `list` answers with the next line of `states`; `fail` makes it fail.
STAND_IN = r"""#!/usr/bin/env bash
[[ -e $STAND_IN/fail ]] && { echo 'ERROR: no credentials' >&2; exit 7; }
{ printf '%q ' "$(basename "$0")" "$@"; echo; } >>"$STAND_IN/calls"
if [[ $* == *'queued-resources list'* ]]; then
    printf 'other-bloom\tACTIVE\n'
    state=$(head -n 1 "$STAND_IN/states")
    [[ -n $state ]] && printf "%s\t$state\n" bloom bloom-8 bloom-16
    sed -i 1d "$STAND_IN/states"
fi
if [[ $(basename "$0") == kubectl && $* == *--filename=- ]]; then cat >"$STAND_IN/applied"; fi
"""


class Machine:
    """A folder with the scripts, and programs that only write down how they were called."""

    def __init__(self, folder):
        self.folder = folder
        shutil.copytree(ROOT / "tpu", folder / "tpu")
        (folder / "bin").mkdir()
        for program in ("gcloud", "git", "docker", "kubectl", "python"):
            (folder / "bin" / program).write_text(STAND_IN)
            (folder / "bin" / program).chmod(0o755)

    def run(self, *command, states=(), **settings):
        """The script, in an environment of these settings only."""
        (self.folder / "states").write_text("".join(f"{state}\n" for state in states))
        path = f"{self.folder / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        return subprocess.run(
            command, cwd=self.folder, text=True, capture_output=True, timeout=30,
            env={"PATH": path, "STAND_IN": str(self.folder), "POLL_SECONDS": "0", "HOME": "/h"} | settings,
        )  # fmt: skip

    def calls(self):
        """What was called since the last time."""
        file = self.folder / "calls"
        # %q of bash writes some words as $'…', so bash has to read them
        script = 'while read -r line; do eval "set -- $line"; printf "%s\\1" "$@"; echo; done'
        lines = file.read_text() if file.exists() else ""
        file.unlink(missing_ok=True)
        read = subprocess.run(
            ["bash", "-c", script], input=lines, text=True, capture_output=True, check=True
        )
        return [line.split("\1")[:-1] for line in read.stdout.splitlines()]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def words(*lines):
    return [shlex.split(line) for line in lines]


def dry(machine, script, *arguments, **settings):
    done = machine.run(f"tpu/{script}.sh", "--dry-run", *arguments, **(SETTINGS | settings))
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.calls() == []  # nothing was run
    return done.stdout.splitlines()


def test_flags_reach_the_commands(machine):
    assert dry(machine, "create", "--spot") == [LIST, f"{CREATE} --spot", LIST]
    assert dry(machine, "delete") == [LIST, DELETE]
    made, copied = dry(machine, "fetch", "--to=here", **SLICE)
    assert made == "mkdir -p here"
    assert "scp bloom:/mnt/jaxprune/bloom here" in copied
    [one], [several] = dry(machine, "run"), dry(machine, "run", **SLICE)
    assert ("--distributed" in one, "--distributed" in several) == (False, True)
    assert "--worker=all" in several
    *_, install = dry(machine, "setup", PACKAGE_DATE="2026-11-25")
    assert "--exclude-newer=2026-11-25" in install
    *_, mount = dry(machine, "setup", **SLICE)
    assert f"{SLICE['SHARE']} /mnt/jaxprune" in " ".join(words(mount)[0])


@pytest.mark.parametrize("script", ["create", "setup", "run", "fetch", "delete"])
def test_a_dry_run_prints_what_is_run(machine, script):
    settings = SETTINGS | SLICE
    printed = words(*dry(machine, script, **settings))
    states = {"create": ["", "ACTIVE"], "delete": ["ACTIVE"]}.get(script, [])
    done = machine.run(f"tpu/{script}.sh", states=states, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.calls() == [line for line in printed if line[0] != "mkdir"]


def test_the_shell_there_reads_the_words_given_here(machine, tmp_path):
    flags = [
        '--config.model=it\'s a "model" $HOME',
        "--config.calibration.data=a;b*",
        "--overwrite",
    ]
    ((*_, command),) = words(*dry(machine, "run", "--", *flags, WORKDIR="runs/two words"))
    program = tmp_path / "jaxprune" / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    there = subprocess.run(
        ["bash", "-c", command.removeprefix("--command=")],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = ["--config=configs/bloom.py:7b1", "--workdir=runs/two words"]
    assert there.stdout.splitlines() == ["scripts/prune.py", *expected, *flags]


@pytest.mark.parametrize(
    ("states", "code", "said", "calls"),
    [
        (["", "WAITING_FOR_RESOURCES", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"], 0,
         ["bloom: WAITING_FOR_RESOURCES", "bloom: PROVISIONING", "bloom: ACTIVE"],
         [LIST, CREATE, LIST, LIST, LIST, LIST]),
        (["ACTIVE"], 0, ["bloom: exists already", "bloom: ACTIVE"], [LIST]),
        (["CREATING", "ACTIVE"], 0, ["bloom: exists already", "bloom: CREATING", "bloom: ACTIVE"], [LIST] * 2),
        (["SUSPENDED"], 1, ["bloom: exists already", "bloom: SUSPENDED"], [LIST]),
        (["", "FAILED"], 1, ["bloom: FAILED"], [LIST, CREATE, LIST]),
    ],
    ids=["new", "there", "asked for", "preempted", "refused"],
)  # fmt: skip
def test_create_makes_none_twice(machine, states, code, said, calls):
    done = machine.run("tpu/create.sh", states=states, **SETTINGS)
    assert done.returncode == code
    assert done.stdout.splitlines() == said
    assert done.stderr.count("\n") == (1 if code else 0)
    assert machine.calls() == words(*calls)


@pytest.mark.parametrize(
    ("state", "said", "calls"),
    [
        ("ACTIVE", "", [LIST, DELETE]),
        ("SUSPENDED", "", [LIST, DELETE]),
        ("DELETING", "bloom: being deleted already\n", [LIST]),
        ("", "bloom: nothing to delete\n", [LIST]),
    ],
)
def test_delete_deletes_what_is_there(machine, state, said, calls):
    done = machine.run("tpu/delete.sh", states=[state], **SETTINGS)
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
    assert machine.calls() == words(*calls)


@pytest.mark.parametrize("script", ["create", "setup", "run", "fetch", "delete"])
def test_a_failure_of_gcloud_ends_the_script(machine, script):
    (machine.folder / "fail").touch()
    done = machine.run(f"tpu/{script}.sh", **SETTINGS)
    assert (done.returncode, done.stderr) == (7, "ERROR: no credentials\n")


REQUIRED = {
    "create": "NAME PROJECT ZONE ACCELERATOR RUNTIME_VERSION",
    "setup": "NAME PROJECT ZONE ACCELERATOR",
    "run": "NAME PROJECT ZONE ACCELERATOR CONFIG WORKDIR",
    "fetch": "NAME PROJECT ZONE WORKDIR",
    "delete": "NAME PROJECT ZONE",
}


@pytest.mark.parametrize(
    ("script", "name"), [(s, name) for s, names in REQUIRED.items() for name in names.split()]
)
def test_a_missing_setting_is_named(machine, script, name):
    without = {key: value for key, value in SETTINGS.items() if key != name}
    flag = "--" + name.lower().replace("_", "-")
    done = machine.run(f"tpu/{script}.sh", "--dry-run", **without)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {name}: missing; expected {flag}=VALUE or the environment variable {name}\n"
    )
    assert dry(machine, script, f"{flag}={SETTINGS[name]}", **{name: ""}) == dry(machine, script)


@pytest.mark.parametrize(
    ("script", "flags", "named"),
    [
        ("delete", ["--config=x"], "--config: unknown"),
        ("delete", ["bloom"], "bloom: unexpected"),
        ("delete", ["--name"], "--name: no value"),
        ("delete", ["--name=Bloom;"], "NAME: Bloom;"),
        ("create", ["--spot=0"], "SPOT: 0"),
        ("setup", ["--accelerator=v5litepod-16"], "SHARE: missing"),
        ("setup", ["--accelerator=v7-unknown"], "SHARE: missing"),
        ("run", ["--accelerator=v5litepod-16"], "WORKDIR: runs/bloom"),
        ("run", [*["--accelerator=v5litepod-16", "--workdir=/mnt/jaxprune"]], "WORKDIR: /mnt"),
    ],
)
def test_bad_settings_end_in_one_line(machine, script, flags, named):
    done = machine.run(f"tpu/{script}.sh", *flags, **SETTINGS)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {named}")
    assert "expected " in done.stderr
    assert done.stderr.count("\n") == 1
    assert machine.calls() == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_clean(script):
    needs("shellcheck")
    assert shellcheck_says(script, "--external-sources", "--source-path=SCRIPTDIR") == ""
    text = script.read_text()
    assert script.name == "settings.sh" or "\nset -euo pipefail\n" in text
    assert os.access(script, os.X_OK) == (script.name != "settings.sh")


def test_the_commands_of_the_readme_run(machine):
    once = ["", "ACTIVE", "ACTIVE"]  # asked by create.sh twice, by delete.sh once
    states = [*once, *once, "SUSPENDED", "", "ACTIVE"]
    script = "set -euo pipefail\n" + "\n".join(BLOCKS)
    done = machine.run("bash", "-c", script, states=states)
    assert (done.returncode, done.stderr) == (0, "")
    calls = machine.calls()
    assert sum("create" in call and "queued-resources" in call for call in calls) == 3
    ran = [call[-1] for call in calls if "prune.py" in call[-1]]
    assert [("--distributed" in command) for command in ran] == [False, False, True, True]
    assert {call[0] for call in calls} == {"gcloud", "git", "docker", "kubectl", "python"}
    *_, jobset = yaml.safe_load_all((machine.folder / "applied").read_text())
    assert "image: us-docker.pkg.dev/my-project/images/jaxprune:1\n" in yaml.safe_dump(jobset)


def test_every_field_that_is_set_is_one():
    manifest = (ROOT / "tpu" / "jobset.yaml").read_text(encoding="utf-8")
    fields = re.findall(r"--config\.([a-z_.]+)=", README + manifest)
    assert set(fields) == {"dtype", "calibration.data"} <= set(FIELDS)


def test_the_plan_of_the_readme():
    config = runpy.run_path(str(ROOT / "configs" / "bloom.py"))["get_config"]("7b1")
    config.dtype = "bfloat16"
    columns = []
    for name in ("v5e-8", "v5e-16"):
        plan = plan_from_config(validate(config), rented=rented(name))
        machines = plan.machines
        by_chip = operations(plan.work) / machines.devices / machines.processes
        columns.append([
            f"{sum(plan.device.values()) / 1e9:.2f} GB",
            f"{sum(plan.host.values()) / 1e9:.1f} GB",
            f"{by_chip / 10**14:.1f} · 10¹⁴",
            f"{max(floor(plan, CHIPS['v5e']).values()):.1f}",
        ])  # fmt: skip
    rows = re.findall(
        r"^\| (?:each|operations|seconds) [^|]* \| ([^|]+?)(?: \(.*\))? \| ([^|]+) \|$",
        README,
        re.MULTILINE,
    )
    assert [list(column) for column in zip(*rows, strict=True)] == columns
