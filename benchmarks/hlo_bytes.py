"""A compiled program's text → the bytes that its operations read and write: XLA's cost analysis has none for GPUs."""

import re

# Operations that move nothing.
FREE = {"parameter", "tuple", "get-tuple-element", "bitcast", "constant", "after-all"}
COMPUTATION = re.compile(
    r"^(ENTRY )?%?([\w.\-]+) \(.*?\) -> .*? \{\n(.*?)^\}", re.MULTILINE | re.DOTALL
)
OPERATION = re.compile(r"\s+(?:ROOT )?%?([\w.\-]+) = (.*?) ([\w\-]+)\((.*?)\)(.*)$")
TRIPS = re.compile(r'known_trip_count":\{"n":"(\d+)"')


def moved(text: str) -> int:
    """Bytes of inputs and outputs of each operation, of a fusion as a whole.

    Loops count as often as they are known to run, of several branches the one that moves most, and an array of which
    an operation reads a slice as a whole.
    """
    bodies = {match[2]: match[3] for match in COMPUTATION.finditer(text)}
    [entry] = (match[2] for match in COMPUTATION.finditer(text) if match[1])
    return _moved(entry, bodies)


def _moved(name: str, bodies: dict[str, str]) -> int:
    sizes: dict[str, int] = {}
    total = 0
    for operation in map(OPERATION.match, bodies[name].splitlines()):
        if operation is None:
            continue
        out, shape, kind, operands, rest = operation.groups()
        sizes[out] = size(shape)
        if kind == "while":
            trips = TRIPS.search(rest)
            times = 1 if trips is None else int(trips[1])
            total += times * _moved(_called("body", rest)[0], bodies)
        elif kind == "call":
            total += _moved(_called("to_apply", rest)[0], bodies)
        elif kind == "conditional":
            total += max(_moved(branch, bodies) for branch in _called("branch_computations", rest))
        elif kind not in FREE:
            names = (operand.strip().lstrip("%") for operand in operands.split(","))
            total += sizes[out] + sum(sizes.get(operand, 0) for operand in names)
    return total


def _called(attribute: str, rest: str) -> list[str]:
    """The names of the computations that an attribute of an operation names."""
    named = re.search(attribute + r"=(?:\{(.*?)\}|([^,]+))", rest)
    return [name.strip().lstrip("%") for name in (named[1] or named[2]).split(",")]


def size(shape: str) -> int:
    """Bytes of an array's shape, or of all in a tuple, as HLO has them."""
    total = 0
    for kind, bits, dimensions in re.findall(r"\b(pred|bf|f|s|u)(\d*)[a-z0-9]*\[([\d,]*)\]", shape):
        count = 1
        for dimension in filter(None, dimensions.split(",")):
            count *= int(dimension)
        total += count * (1 if kind == "pred" else max(1, int(bits) // 8))
    return total
