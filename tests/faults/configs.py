"""Rows of the table of faults: fields, flags and config files."""

from faults.fault import IDS, Fault


def config(group, value, says):
    return Fault(lambda p: p.prune(f"{group}={value}"), says)


ROWS = {
    "sparsity 1": config("pruning.sparsity", 1, r"pruning\.sparsity: got 1\.0; .*0 <= s < 1"),
    "unknown field": config("pruning.sparsty", 0.3, r"sparsty: no such .*mean pruning\.sparsity\?"),
    "mesh.data": config("mesh.data", 4096, r"mesh\.data=4096, mesh\.model=1: expected .* 1 to \d"),
    "2:3 on a width of 128": config("pruning.pattern", "2:3", r"pattern: .*kernel.* multiple of 3"),
    "refined on tokens without code": Fault(
        lambda p: p.on_tokens(p.npz(input_ids=IDS), "pruning.criterion=refined"),
        r"criterion refined needs a set with role 'code'",
    ),
    "unknown flag": Fault(lambda p: [*p.prune(), "--wrkdir=x"], r"wrkdir"),
    "no workdir": Fault(lambda p: p.prune()[:2], r"--workdir: missing"),
}  # fmt: skip
