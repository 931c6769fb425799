"""A file of token ids → batches (`calibration.kind=tokens`)."""

from pathlib import Path

import numpy as np

from jaxprune.calibration.batches import Batch, all_real
from jaxprune.calibration.config import COMPAT
from jaxprune.calibration.grouping import from_arrays, token_ids
from jaxprune.errors import InputError, listed
from jaxprune.files import read_npz
from jaxprune.schema import PATH, check


def token_batches(
    path: str | Path,
    *,
    compat: str = "corrected",
) -> list[Batch]:
    """Calibration batches of ready-made token ids; needs no tokenizer.

    Args:
      path: an `.npz` with `input_ids` [N, T] and, optionally, `attention_mask` [N, T] and
        `code_ids` [M, T]. All rows are used, at their length.
      compat: "official" keeps the rows as they are and counts pads as real tokens.

    Returns:
      Batches with role "tokens", then those with role "code".

    Raises:
      InputError: no such file, not an .npz, unknown arrays; see `from_arrays`.

    Examples:
      >>> import jaxprune as jp, numpy as np
      >>> np.savez("ids.npz", input_ids=np.arange(24).reshape(2, 12))
      >>> [batch] = jp.token_batches("ids.npz")
      >>> batch.role, batch.num_tokens
      ('tokens', 24)
    """
    check("path", path, PATH)
    check("compat", compat, COMPAT)
    arrays = _read_npz(Path(path).expanduser())
    sets = {"tokens": "input_ids", "code": "code_ids"}
    batches: list[Batch] = []
    try:
        for role, name in sets.items():
            if name not in arrays:
                continue
            ids = token_ids(arrays[name], name)
            if compat == "official":
                batches.append(all_real(ids, role))
                continue
            mask = arrays.get("attention_mask") if role == "tokens" else None
            batches += from_arrays(ids, mask, role=role)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return batches


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        arrays = read_npz(path)
    except FileNotFoundError:
        raise InputError(f"calibration.data: no file {str(path)!r}") from None
    if not {"input_ids"} <= arrays.keys() <= {"input_ids", "attention_mask", "code_ids"}:
        raise InputError(
            f"{path}: contains {listed(sorted(arrays)) or 'nothing'}; "
            "allowed: input_ids, and optionally attention_mask and code_ids"
        )
    return arrays
