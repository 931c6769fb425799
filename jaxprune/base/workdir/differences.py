"""The differences between records of runs, in words."""

from collections.abc import Mapping
from typing import Any

# Prefixes of values that come from the user, not from the package or the machine.
_INPUTS = ("config.", "file ", "calibration")
# A field of versions before 0.3 that changed no result.
_EARLIER = "config.output.figures"


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first difference of two records, in words; None if they are equal."""
    for name in [*now, *before]:
        if before.get(name) != now.get(name):
            return f"{name} {shortened(before.get(name))}, now {shortened(now.get(name))}"
    return None


def inputs(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a record by which finished runs are compared: config, model and calibration set.

    Other values, such as code and versions, are its provenance.
    """
    return {
        name: value
        for name, value in identity.items()
        if name.startswith(_INPUTS) and name != _EARLIER
    }


def shortened(value: Any) -> str:
    """A value for a message; only the first digits of a digest."""
    if value is None:
        return "not set"
    text = repr(value)
    return f"{text[:13]}…'" if isinstance(value, str) and len(value) == 64 else text
