"""Roundings: a kernel and its inputs → the kernel on a grid. Each file declares a `Rounding` as ROUNDING."""

import sys
from collections.abc import Mapping

from jaxprune.base.discover import discover
from jaxprune.pruning.roundings.rounding import Rounding

ROUNDINGS: Mapping[str, Rounding] = {
    rounding.name: rounding for rounding in discover(sys.modules[__name__], "ROUNDING")
}
