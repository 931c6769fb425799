"""Types of values in JSON files, which msgspec checks."""

import sys
from typing import Annotated

from msgspec import Meta

Scalar = str | int | float | bool | None
_LARGEST = sys.float_info.max
# JSON has no other numbers.
Finite = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
# Sums of shares round.
Share = Annotated[float, Meta(ge=0, le=1 + 1e-9)]
Seconds = Annotated[float, Meta(ge=0, le=_LARGEST)]
Count = Annotated[int, Meta(ge=0, le=2**62)]
Hexadecimal = Annotated[str, Meta(pattern="^[0-9a-f]+$", max_length=64)]  # a digest
