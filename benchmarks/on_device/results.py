"""What the steps of a job found → one object, as accelerator.json has it."""

from on_device import checks
from on_device.job import MACHINE, RATES

SPEED = ("prune", "score", "generate")
SIDES = ("cpu", "device", "torch")
STEPS = ("machine", "rates", "make", "logits", "scores", "masks", *SPEED)


def gathered(job):
    """All that is there by now.

    Returns:
      {"machine", "rates", "sizes", "models": {name: {"facts", "checks", "speed"}}, "failures": [{"model", "what",
      "error"}]}.
    """
    models = {
        name: {
            "facts": job.result(f"cpu.make.{name}") or {},
            "checks": checks.compared(job, name),
            "speed": {step: _speed(job, step, name) for step in SPEED},
        }
        for name in job.models
    }
    failures = _failed_steps(job) + [
        {"model": name, "what": row["what"], "error": _fault(row)}
        for name, model in models.items()
        for row in model["checks"]
        if _fault(row)
    ]
    machine, rates = job.result(MACHINE) or {}, job.result(RATES) or {}
    found = {"machine": machine, "rates": rates, "sizes": job.sizes}
    return found | {"models": models, "failures": failures}


def _fault(row):
    """What is wrong with a row of `checks.compared`, None if nothing is."""
    if "error" in row or row.get("passed", True):
        return row.get("error")
    bound = "at least" if row["at_least"] else "at most"
    value = "not a number" if row["value"] is None else f"{row['value']:.3g}"
    return f"{value}; expected {bound} {row['allowed']:g}"


def _failed_steps(job):
    names = ["all", *job.models]
    steps = ((side, step, name) for name in names for step in STEPS for side in SIDES)
    return [
        {"model": name, "what": f"{step} ({side})", "error": found["error"]}
        for side, step, name in steps
        if (found := job.result(f"{side}.{step}.{name}")) and "error" in found
    ]


def _speed(job, step, model):
    """{"jaxprune", "torch"}: what both took, with tokens a second; and of ours what share of that is the least."""
    found = {
        "jaxprune": job.result(f"device.{step}.{model}"),
        "torch": job.result(f"torch.{step}.{model}"),
    }
    found = {name: dict(one) for name, one in found.items() if one is not None}
    for one in found.values():
        if "seconds" in one:
            one["tokens_per_second"] = one["tokens"] / one["seconds"]
            least = one.get("least_seconds", {})
            one["shares"] = {name: part / one["seconds"] for name, part in least.items()}
    times = [one.get("seconds") for one in found.values()]
    if len(times) == 2 and all(times):
        found["jaxprune"]["over_torch"] = times[1] / times[0]
    return found
