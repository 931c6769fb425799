"""Estimates what a run will need before anything is loaded, and refuses runs that cannot fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
from jax.sharding import Mesh

from jaxprune.calibration import KINDS, Batch, token_batches
from jaxprune.devices import DATA, MODEL, device_mesh, platform, product_dtype, room
from jaxprune.errors import InputError, refusal
from jaxprune.files import read_json
from jaxprune.hf import STORED, hub, load
from jaxprune.models import ModelConfig, attention_path, load_config, site_widths
from jaxprune.passes import SAMPLES_PER_DEVICE
from jaxprune.pruning import Settings
from jaxprune.runs.planning import costs
from jaxprune.runs.planning.config import PruneConfig
from jaxprune.runs.planning.costs import CHIPS, Chip, Machines, Work
from jaxprune.tables import byte_size, named_values, seconds


@dataclasses.dataclass(frozen=True)
class Plan:
    """An estimate of what a run needs.

    Attributes:
      work, machines: the job and the machines that do it.
      samples_per_device: how many a device takes at a time.
      room: bytes of a device and of a host, where they are known; on CPUs all is the host's.
      chip: of the devices, or None.
    """

    work: Work
    machines: Machines
    samples_per_device: int
    room: tuple[float | None, float | None]
    chip: Chip | None = None

    @property
    def device(self) -> dict[str, int]:
        """Peak bytes of a device by part."""
        return costs.device_memory(self.work, self.machines, self.samples_per_device)

    @property
    def host(self) -> dict[str, int]:
        """Peak bytes of a process by part."""
        return costs.host_memory(self.work, self.machines, self.samples_per_device)

    @property
    def fits(self) -> tuple[bool, bool]:
        """True for the devices, and for the hosts, if the run has room there."""
        needs = (sum(self.device.values()), sum(self.host.values()))
        return tuple(room is None or n <= room for n, room in zip(needs, self.room, strict=True))  # type: ignore[return-value]


def planned(
    work: Work,
    machines: Machines,
    room: tuple[float | None, float | None],
    chip: Chip | None = None,
) -> Plan:
    """The plan with the largest micro-batch that has room, or with one sample a device where none has."""
    plans = [
        Plan(work, machines, samples, room, chip) for samples in range(SAMPLES_PER_DEVICE, 0, -1)
    ]
    return next((plan for plan in plans if all(plan.fits)), plans[-1])


def check_fits(plan: Plan) -> None:
    """Refuses a run that cannot fit.

    Raises:
      InputError: names what is short and the setting that would do.
    """
    if all(plan.fits):
        return
    place = "host" if plan.fits[0] else "device"
    needed, room = sum(getattr(plan, place).values()), plan.room[place == "host"]
    ways = (way for way, other in _others(plan) if all(other.fits))
    raise InputError(
        f"memory: the run needs {byte_size(needed)} on each {place}, there are {byte_size(room or 0)}; "
        f"allowed: {next(ways, 'a larger machine')}"
    )


def _others(plan: Plan) -> Iterator[tuple[str, Plan]]:
    """Settings that need less memory, and their plans; the least harmful first."""
    work, machines = plan.work, plan.machines

    def other(work: Work, machines: Machines) -> Plan:
        return planned(work, machines, plan.room, plan.chip)

    if work.params:
        yield "output.params=false", other(dataclasses.replace(work, params=False), machines)
    slim = dataclasses.replace(work, params=False)
    if work.propagate == "site":
        slim = dataclasses.replace(slim, propagate="block")
        yield "pruning.propagate=block", other(slim, machines)
    for model in (2, 4, 8, 16):
        if model > machines.model and machines.devices % model == 0 and not machines.cpu:
            apart = dataclasses.replace(machines, data=machines.devices // model, model=model)
            yield f"mesh.data={apart.data} and mesh.model={model}", other(slim, apart)
    if work.dtype == "float32" and (not machines.cpu or product_dtype("bfloat16") != "float32"):
        slim = dataclasses.replace(slim, dtype="bfloat16")
        yield "dtype=bfloat16", other(slim, machines)
    total = sum(count for count, _ in slim.groups)
    for part in (2, 4, 8):
        fewer = tuple((-(-count // part), length) for count, length in slim.groups)
        settings = f"calibration.samples={total // part}"
        yield settings, other(dataclasses.replace(slim, groups=fewer), machines)


# Plans of a run that begins, and of a config alone.


def plan_of(
    config: ModelConfig,
    stored: str,
    batches: Sequence[Batch],
    run: PruneConfig,
    mesh: Mesh,
    samples_per_device: int | None = None,
) -> Plan:
    """The plan of a run whose samples are there, on the devices of its mesh; the same in all processes.

    Args:
      samples_per_device: how many a device takes at a time; chosen by the memory that there is where not given.
    """
    work = _work(config, stored, costs.groups_of(batches), run, product_dtype(run.dtype))
    plan = _planned_here(work, mesh, jax.process_count())
    return dataclasses.replace(
        plan, samples_per_device=samples_per_device or plan.samples_per_device
    )


def _planned_here(work: Work, mesh: Mesh, processes: int) -> Plan:
    machines = Machines(mesh.shape[DATA], mesh.shape[MODEL], processes, platform())
    return planned(work, machines, room(mesh))


def plan_from_config(run: PruneConfig, *, chip: str | None = None, processes: int = 1) -> Plan:
    """The plan of a run, from its config and the model's config.json.

    Samples of text count as long as `calibration.max_length`, so it is an upper bound.

    Args:
      run: validated.
      chip: a name in `chips.CHIPS`, and of a mesh of -1 one device; this machine's devices without it.
      processes: how many hosts there will be, each with the mesh of the config.

    Raises:
      InputError: a chip that is not known.
    """
    folder = hub.config_folder(run.model, run.revision)
    config, stored = load_config(folder), _stored(folder)
    dtype = product_dtype(run.dtype) if chip is None else run.dtype
    work = _work(config, stored, _groups(run), run, dtype)
    if chip is None:
        return _planned_here(work, device_mesh(run.mesh.data, run.mesh.model), processes)
    if chip not in CHIPS:
        raise refusal("--chip", chip, ", ".join(CHIPS))
    data, model = (max(1, number) for number in (run.mesh.data, run.mesh.model))  # -1: one
    machines = Machines(data, model, processes, CHIPS[chip].platform)
    return planned(work, machines, (CHIPS[chip].memory, None), CHIPS[chip])


def _work(
    config: ModelConfig,
    stored: str,
    groups: tuple[tuple[int, int], ...],
    run: PruneConfig,
    dtype: str,
) -> Work:
    return Work(
        config=config,
        groups=groups,
        propagate=run.pruning.propagate,
        dtype=dtype,
        stored=stored,
        hf=run.output.hf,
        params=run.output.params,
        text=bool(groups) and KINDS[run.calibration.kind].reads_text,
    )


def _groups(run: PruneConfig) -> tuple[tuple[int, int], ...]:
    calibration = run.calibration
    if not Settings(criterion=run.pruning.criterion).needs_statistics:
        return ()
    kind = KINDS[calibration.kind]
    if not kind.reads_text:
        return costs.groups_of(token_batches(calibration.data, compat=run.compat))
    return ((calibration.samples, calibration.max_length),) * (1 + kind.may_hold_code)


def _stored(folder: Path) -> str:
    """The dtype that weights are stored in, by their files, or by config.json where there are none."""
    if any(folder.glob("*.safetensors")) or any(folder.glob("*.bin")):
        return load(folder).dtype
    raw = read_json(folder / "config.json")
    dtype = raw.get("dtype") or raw.get("torch_dtype") or "float32"
    if dtype not in STORED:
        raise refusal(f"{folder / 'config.json'}: dtype", dtype, STORED)
    return str(dtype)


def print_plan(run: PruneConfig, plan: Plan) -> None:
    """Prints the table of `--plan`."""
    work, machines = plan.work, plan.machines
    every = machines.devices * machines.processes
    samples = ", ".join(f"{count} x {length}" for count, length in work.groups) or "none"
    blocks = work.config.n_layers * costs.part_size(work.config, "blocks")
    operations = costs.flops(work)
    computed = run.dtype if work.dtype == run.dtype else f"{run.dtype} as {work.dtype}"
    rows = {
        "model": f"{run.model}: {work.config.n_layers} blocks, {blocks / 1e6:,.1f} million weights in them, "
        f"stored as {work.stored}",
        "samples": f"{samples} tokens, propagate {work.propagate}, {computed}",
        "devices": f"{every}: {machines.processes} process(es) of {machines.data} x {machines.model}",
        "micro-batch": f"{plan.samples_per_device} samples a device, "
        f"{costs.micro_batches(work, machines, plan.samples_per_device)} in a pass",
        "attention": attention_path(work.config, work.dtype, machines.platform).name,
        "device": _parts(plan.device, plan.room[0]),
        "host": _parts(plan.host, plan.room[1]),
        "operations": f"{operations:.3g}, {operations / every:.3g} a device",
        "read": byte_size(costs.bytes_read(work, machines)),
        "written": byte_size(costs.bytes_written(work)),
    }
    if plan.chip is not None:
        parts = floor(plan)
        by_part = ", ".join(f"{name} {seconds(least)}" for name, least in parts.items())
        rows["floor"] = f"{seconds(max(parts.values()))} s at published rates ({by_part})"
    print("\n".join(named_values(rows)))


def floor(plan: Plan) -> dict[str, float]:
    """Seconds at the chip's published rates: of products, of reading weights from the device's memory, of the link.

    They can overlap: no run takes less than the longest.
    """
    work, machines, chip = plan.work, plan.machines, plan.chip
    assert chip is not None
    config, every = work.config, machines.devices * machines.processes
    block = costs.part_size(config, "blocks") * costs.size_of(work.dtype)
    passes = 2 if work.propagate == "block" else 1
    turns = costs.micro_batches(work, machines, plan.samples_per_device)
    width = sum(site_widths(config).values()) if work.propagate == "site" else 0
    tokens = sum(count * length for count, length in work.groups) / every
    states = 2 * 4 * tokens * (config.d_model + width)
    return {
        "products": costs.flops(work) / every / chip.flops[work.dtype],
        "weights": config.n_layers * passes * turns * block / chip.bandwidth,
        "link": config.n_layers * (block / machines.model + states) / chip.link,
    }


def _parts(parts: dict[str, int], room: float | None) -> str:
    by_part = ", ".join(f"{name} {byte_size(size)}" for name, size in parts.items() if size)
    of = "" if room is None else f" of {byte_size(room)}"
    return f"{byte_size(sum(parts.values()))}{of} ({by_part})"
