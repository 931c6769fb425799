"""Estimates the costs of a run before anything is loaded, and rejects runs that cannot fit."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
from jax.sharding import Mesh

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.files.outside import read_json
from jaxprune.base.text import byte_size, named_values, number, percent, share_range
from jaxprune.base.workdir.reading import GGUF
from jaxprune.data.batches import Batch
from jaxprune.data.kinds import KINDS
from jaxprune.devices.memory import room
from jaxprune.devices.products import product_dtype
from jaxprune.devices.sharding import DATA, MODEL, MeshFields, device_mesh, mesh_shape
from jaxprune.hf import hub
from jaxprune.hf.gguf.tensors import Types, tensors_size
from jaxprune.hf.model import load
from jaxprune.hf.weights import STORED
from jaxprune.models.attention.platform import platform
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import attention_path, kernel_shapes, load_config
from jaxprune.models.published import published
from jaxprune.pruning.allocated import ignored_kernels, kernel_shares, layer_shares
from jaxprune.pruning.budget import check_pattern
from jaxprune.pruning.quantization import check_grids
from jaxprune.pruning.settings import Settings
from jaxprune.stats.calibration_sets import token_batches
from jaxprune.stats.config import JobConfig
from jaxprune.stats.probe import SAMPLES_PER_DEVICE
from jaxprune.steps.configs import BlocksConfig, MethodConfig, QuantizeConfig, ShrinkConfig
from jaxprune.steps.planning import costs
from jaxprune.steps.planning.chips import Rented
from jaxprune.steps.planning.costs import Machines, Work


@dataclasses.dataclass(frozen=True)
class Plan:
    """The estimated costs of a run.

    Attributes:
      work, machines: the job and its machines.
      samples_per_device: samples of a device per micro-batch.
      room: available bytes of a device and of a host, None if unknown; CPUs use the host's.
      rented: the machines, if they are others than this one.
    """

    work: Work
    machines: Machines
    samples_per_device: int
    room: tuple[float | None, float | None]
    rented: Rented | None = None

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
        """Whether the run fits the memory of the devices, and of the hosts."""
        needs = (sum(self.device.values()), sum(self.host.values()))
        return tuple(room is None or n <= room for n, room in zip(needs, self.room, strict=True))  # type: ignore[return-value]


def planned(work: Work, machines: Machines, room: tuple[float | None, float | None]) -> Plan:
    """The plan with the largest micro-batch that fits, or with one sample per device if none fits."""
    plans = [Plan(work, machines, samples, room) for samples in range(SAMPLES_PER_DEVICE, 0, -1)]
    return next((plan for plan in plans if all(plan.fits)), plans[-1])


def check_fits(plan: Plan) -> None:
    """Rejects a run that cannot fit.

    Raises:
      InputError: names the memory that is too small, and the settings that need less.
    """
    work, machines, host = plan.work, plan.machines, plan.host
    without_samples = sum(host.values()) - host.get("states", 0)
    settings = {
        "output.params=false": work.params,
        "pruning.propagate=block": work.propagate == "site" and not work.gram,
        "pruning.propagate=site": work.propagate != "site" and work.gram,
        "a larger mesh.model": not machines.cpu and machines.devices > machines.model,
        "dtype=bfloat16": work.dtype == "float32"
        and not (machines.cpu and product_dtype("bfloat16") == "float32"),
        "fewer calibration.samples": plan.fits[0]
        and (plan.room[1] is None or without_samples <= plan.room[1]),
    }
    check_memory((plan.device, plan.host), plan.room, settings)


def check_memory(
    memory: tuple[Mapping[str, int], Mapping[str, int]],
    room: tuple[float | None, float | None],
    settings: Mapping[str, object],
) -> None:
    """Rejects a run that needs more memory than there is.

    Args:
      memory: peak bytes of a device, and of a process, by part.
      room: available bytes of both, None if unknown.
      settings: settings that need less memory, with whether they would here.

    Raises:
      InputError: names the memory that is too small, and these settings.
    """
    for place, parts, available in zip(("device", "host"), memory, room, strict=True):
        needed = sum(parts.values())
        if available is not None and needed > available:
            fewer = ", ".join(setting for setting, is_less in settings.items() if is_less)
            raise InputError(
                f"memory: the run needs {byte_size(needed)} on each {place}, {byte_size(available)} are available; "
                f"expected {fewer}{' or ' * bool(fewer)}a larger machine; --plan shows the parts"
            )


# Plans of a run at its start, and of a config alone.


def plan_of(
    config: ModelConfig,
    stored: str,
    batches: Sequence[Batch],
    run: MethodConfig,
    mesh: Mesh,
    record: Mapping[str, Any] = MappingProxyType({}),
) -> Plan:
    """The plan of a run with its samples, on the devices of its mesh; the same in all processes.

    Args:
      record: record of an unfinished run, whose choices are kept; without them, memory decides.
    """
    work = _work(config, stored, costs.groups_of(batches), run)
    plan = planned(work, *_machines_here(mesh, jax.process_count()))
    if "samples_per_device" not in record:
        return plan
    return dataclasses.replace(plan, samples_per_device=record["samples_per_device"])


def _machines_here(
    mesh: Mesh, processes: int
) -> tuple[Machines, tuple[float | None, float | None]]:
    return Machines(mesh.shape[DATA], mesh.shape[MODEL], processes, platform()), room(mesh)


def plan_from_config(run: MethodConfig, processes: int = 1, rented: Rented | None = None) -> Plan:
    """The plan of a run, from its config and the model's config.json, or the sizes of published models in the package.

    Every sample of text counts with length `calibration.max_length`, so the plan is an upper bound.

    Args:
      run: validated.
      processes: number of hosts like this one, each with the mesh of the config.
      rented: other machines in place of these; the mesh of the config is that of one of their hosts.

    Raises:
      InputError: the model does not fit the settings, or `quantize.size` is too small.
    """
    config, stored = sizes_of(run)
    if isinstance(run, QuantizeConfig):
        check_grids(config, run.quantize)
        run.quantize.check_size(_least_size(run, config))
        stored = "float32"
    work = _work(config, stored, _groups(run), run)
    if rented is not None:
        work = dataclasses.replace(work, dtype=run.dtype)
    plan = planned(work, *machines_of(run.mesh, processes, rented))
    return dataclasses.replace(plan, rented=rented)


def machines_of(
    mesh: MeshFields, processes: int = 1, rented: Rented | None = None
) -> tuple[Machines, tuple[float | None, float | None]]:
    """The machines of a job, and the available bytes of a device and of a host, None if unknown.

    Args:
      mesh: the fields `mesh.*`, of one host.
      processes, rented: see `plan_from_config`.
    """
    if rented is None:
        return _machines_here(device_mesh(mesh.data, mesh.model), processes)
    shape = mesh_shape(mesh.data, mesh.model, rented.devices)
    machines = Machines(*shape, rented.hosts, rented.chip.platform)
    return machines, (rented.chip.room, None)


def _work(
    config: ModelConfig, stored: str, groups: tuple[tuple[int, int], ...], run: MethodConfig
) -> Work:
    settings = run.settings
    check_settings(config, settings)
    allocation = settings.resolved_allocation
    norms = allocation.reads_samples and allocation.measure is not None
    return Work(
        config=config,
        groups=groups,
        # without a criterion that reads samples, the pass of the allocation is the only one
        propagate="dense"
        if allocation.reads_samples and not settings.method.needs
        else settings.propagate,
        allocates=norms and bool(settings.method.needs),
        dtype=product_dtype(run.dtype),
        stored=stored,
        hf=run.output.hf,
        params=run.output.params,
        samples=run.calibration.samples if groups and KINDS[run.calibration.kind].reads_text else 0,
        updates=settings.method.updates_weights,
        gram="gram" in {s.name for s in run.settings.method.statistics},
        packs=isinstance(run, QuantizeConfig),
        writes=bool(groups) and KINDS[run.calibration.kind].is_generated,
        sensitivities=bool(groups) and allocation.measure_model is not None,
    )


def check_settings(config: ModelConfig, settings: Settings) -> None:
    """Rejects settings that do not fit the sizes of a model: patterns and shares of kernels; raises InputError."""
    ignored = {*ignored_kernels(config, settings.ignored)}
    for path, shape in kernel_shapes(config).items():
        names = {f"{layer}/{path.removesuffix('/kernel')}" for layer in range(config.n_layers)}
        if not names <= ignored:
            check_pattern(settings.pattern, path, shape)
    if not settings.resolved_allocation.is_measured:
        kernel_shares(config, settings)


def _groups(run: MethodConfig) -> tuple[tuple[int, int], ...]:
    if not run.settings.needs_statistics or run.calibration.stats:
        return ()
    return groups_of_samples(run)


def groups_of_samples(run: BlocksConfig | ShrinkConfig) -> tuple[tuple[int, int], ...]:
    """The number and length of the samples of a config, see `Work`; those of text have the largest length."""
    calibration = run.calibration
    kind = KINDS[calibration.kind]
    if not kind.reads_text:
        return costs.groups_of(token_batches(calibration.data, compat=run.compat))
    return ((calibration.samples, calibration.max_length),) * (1 + kind.may_hold_code)


def sizes_of(run: JobConfig) -> tuple[ModelConfig, str]:
    """The model's config and stored dtype: of a folder, else of a published model, else from the hub."""
    if run.model.endswith(".gguf"):
        model = run.open_model()
        return model.config, model.dtype
    is_folder = Path(run.model).expanduser().is_dir()
    if not is_folder and (published_model := published(run.model)):
        return published_model
    folder = hub.config_folder(run.model, run.revision)
    return load_config(folder), _stored(folder)


def _stored(folder: Path) -> str:
    """The stored dtype of the weights, from their files, or from config.json without files."""
    if any(folder.glob("*.safetensors")) or any(folder.glob("*.bin")):
        return load(folder).dtype
    raw = read_json(folder / "config.json")
    dtype = raw.get("dtype") or raw.get("torch_dtype") or "float32"
    if dtype not in STORED:
        raise invalid_value(f"{folder / 'config.json'}: dtype", dtype, STORED)
    return str(dtype)


def show_plan(run: MethodConfig, processes: int, rented: Rented | None) -> None:
    """Prints the plan of a config, see `plan_from_config`.

    Raises:
      InputError: after the table, the run does not fit.
    """
    plan = plan_from_config(run, processes, rented)
    print_plan(run, plan)
    check_fits(plan)


def print_plan(run: MethodConfig, plan: Plan) -> None:
    """Prints the table of `--plan`."""
    work, machines = plan.work, plan.machines
    samples = ", ".join(f"{count} x {length}" for count, length in work.groups) or "none"
    computed = run.dtype if work.dtype == run.dtype else f"{run.dtype} as {work.dtype}"
    rows = {
        "model": f"{run.model}: {blocks_text(work.config)}, stored as {work.stored}",
        "samples": f"{samples} tokens, propagate {work.propagate}, {computed}",
        **_target(run, work.config),
        "micro-batch": f"{plan.samples_per_device} samples per device, "
        f"{costs.micro_batches(work, machines, plan.samples_per_device)} per pass",
        "attention": attention_path(work.config, work.dtype, machines.platform).name,
        **machine_rows(machines, (plan.device, plan.host), plan.room),
        **operation_rows(costs.operations(work), machines, work.dtype, plan.rented),
        "written": byte_size(costs.bytes_written(work)),
    }
    print("\n".join(named_values(rows)))


def blocks_text(config: ModelConfig) -> str:
    """The number of blocks and of their weights."""
    weights = config.n_layers * costs.part_size(config, "blocks")
    return f"{config.n_layers} blocks, {weights / 1e6:,.1f} million weights in them"


def machine_rows(
    machines: Machines,
    memory: tuple[Mapping[str, int], Mapping[str, int]],
    room: tuple[float | None, float | None],
) -> dict[str, str]:
    """The rows on machines: their number, and peak bytes of a device and of a host by part, of those available."""

    def parts_text(parts: Mapping[str, int], available: float | None) -> str:
        by_part = ", ".join(f"{name} {byte_size(size)}" for name, size in parts.items() if size)
        of_available = "" if available is None else f" of {byte_size(available)}"
        return f"{byte_size(sum(parts.values()))}{of_available} ({by_part})"

    devices = machines.devices * machines.processes
    return {
        "devices": f"{devices}: {machines.processes} process(es) of {machines.data} x {machines.model}",
        "device": parts_text(memory[0], room[0]),
        "host": parts_text(memory[1], room[1]),
    }


def operation_rows(
    operations: int, machines: Machines, dtype: str, rented: Rented | None
) -> dict[str, str]:
    """The rows on operations, with the least time of rented machines."""
    by_device = operations / (machines.devices * machines.processes)
    rows = {"operations": f"{operations:.3g}, {by_device:.3g} per device"}
    if rented is not None:
        seconds = by_device / rented.chip.flops[dtype]
        rows["at least"] = (
            f"{number(float(f'{seconds:.2g}'))} s of products at the published rate of {rented.name}"
        )
    return rows


def _target(run: MethodConfig, config: ModelConfig) -> dict[str, str]:
    if not isinstance(run, QuantizeConfig):
        return {"sparsity": _sparsity(run, config)}
    fields = run.quantize
    return {
        "grid": f"{fields.grid}, by {run.settings.method.name}; embedding {fields.embedding}",
        GGUF: f"{byte_size(_least_size(run, config))} and the tokenizer"
        + ("" if fields.size is None else f", filled up to {byte_size(fields.size)}"),
    }


def _least_size(run: QuantizeConfig, config: ModelConfig) -> int:
    """Bytes of the tensors of model.gguf where all kernels have `quantize.grid`."""
    return tensors_size(config, Types(run.quantize.grid, run.quantize.embedding))


def _sparsity(run: MethodConfig, config: ModelConfig) -> str:
    settings, allocation = run.settings, run.settings.resolved_allocation
    overall = f"{percent(settings.implied_sparsity)}%"
    others = " of the kernels that are not ignored" if settings.ignored else ""
    if allocation.is_measured:
        source = "passes of the dense model" if allocation.reads_samples else "the weights"
        return f"{overall}{others}, by layer as measured in {source} ({allocation.name})"
    shares = share_range(layer_shares(config, kernel_shares(config, settings)))
    return f"{overall}{others}, {f'{shares} by layer' if shares else 'the same in every layer'}"
