"""The state of a fit of all blocks together ↔ a file of the unfinished run."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.files import read_npz, write_npz
from jaxprune.ledger import FIT
from jaxprune.recovery import Saved


def saved_fit(folder: Path) -> Saved:
    """The state in the folder of an unfinished run; reading a damaged file is an InputError."""
    file = folder / FIT

    def read() -> Mapping[str, np.ndarray] | None:
        try:
            return read_npz(file) if file.is_file() else None
        except InputError as error:
            raise InputError(f"{error}; allowed: --overwrite, which starts over") from None

    def write(state: Mapping[str, np.ndarray]) -> None:
        if hosts.is_first():  # all processes have the same
            write_npz(file, state)

    return Saved(read, write)
