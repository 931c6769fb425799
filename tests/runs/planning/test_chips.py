"""Machines by name: their devices and hosts as clouds have them, and the plan of a job there."""

import pytest
from jobs import job
from run_scripts import run_here

from jaxprune.base.errors import InputError
from jaxprune.steps.planning.chips import CHIPS, rented
from jaxprune.steps.planning.plan import plan_from_config

# Devices of a host, and hosts, by Google's and NVIDIA's pages on these machines.
MACHINES = {
    "h100": (1, 1),
    "2xH100": (2, 1),
    "8xl4": (8, 1),
    "16xa100": (8, 2),
    "v5e-1": (1, 1),
    "v5e-8": (8, 1),
    "v5litepod-16": (4, 4),
    "v6e-64": (4, 16),
    "v5p-8": (4, 1),
    "v5p-32": (4, 4),
}


@pytest.mark.parametrize("name", MACHINES)
def test_devices_and_hosts_of_a_name(name):
    machines = rented(name)
    assert (machines.devices, machines.hosts) == MACHINES[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("h10", r"--chip: got 'h10'; expected v5e-8, .* as 2xh100 \(did you mean h100\?\)$"),
        ("v5e", "--chip: got 'v5e'; expected v5e-8"),
        ("h100-8", "--chip: got 'h100-8'; expected v5e-8"),
        ("0xl4", "--chip: got '0xl4'; expected v5e-8"),
        ("12xh100", "--chip: got '12xh100'; expected a multiple of 8 h100, the number of a host$"),
        ("v5e-10", "--chip: got 'v5e-10'; expected a multiple of 4 v5e"),
    ],
)
def test_a_name_of_no_machine_is_refused(name, message):
    with pytest.raises(InputError, match=f"^{message}"):
        rented(name)


def test_a_plan_has_the_memory_the_mesh_and_the_rate_of_the_machines(monkeypatch, capfd):
    config = job("bigscience/bloom-7b1", dtype="bfloat16")
    plan = plan_from_config(config, rented=rented("v5e-16"))
    machines = plan.machines
    assert (machines.data, machines.model, machines.processes) == (4, 1, 4)
    assert plan.room == (16e9, None)
    shared = plan_from_config(job("bigscience/bloom-7b1", mesh__model=4), rented=rented("v5e-8"))
    assert (shared.machines.data, shared.machines.model) == (2, 4)
    with pytest.raises(InputError, match=r"^mesh.data=-1, mesh.model=4: expected -1 or numbers"):
        plan_from_config(job("bigscience/bloom-7b1", mesh__model=4), rented=rented("2xh100"))

    fields = ("--config", "configs/bloom.py:7b1", "--workdir", "x", "--config.dtype=bfloat16")
    done = run_here(monkeypatch, capfd, "prune", *fields, "--plan", "--chip=2xh100")
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert rows["devices"] == "2: 1 process(es) of 2 x 1"
    assert " of 60.00 GB " in rows["device"]
    operations = float(rows["operations"].split(",")[0])
    seconds = float(rows["at"].split()[1])  # at least
    assert seconds == pytest.approx(operations / 2 / CHIPS["h100"].flops["bfloat16"], rel=0.05)
    done = run_here(monkeypatch, capfd, "prune", *fields, "--chip=h100")
    assert (done.returncode, done.stderr) == (2, "error: --chip: not read without --plan\n")
    both = ("--plan", "--chip=h100", "--processes=2")
    done = run_here(monkeypatch, capfd, "prune", *fields, *both)
    said = "error: --processes: not read with --chip, which names all machines\n"
    assert (done.returncode, done.stderr) == (2, said)
