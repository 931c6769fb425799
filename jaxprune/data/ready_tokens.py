"""Arrays, and a file, of token ids → samples (`calibration.kind=tokens`)."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32

from jaxprune.base.errors import InputError, listed
from jaxprune.base.files.arrays import read_npz
from jaxprune.data.samples import Samples


def token_samples(path: Path, compat: str) -> list[Samples]:
    """The samples of `jaxprune.token_batches`."""
    arrays = _read_npz(path.expanduser())
    sets = {"tokens": "input_ids", "code": "code_ids"}
    samples: list[Samples] = []
    try:
        for role, name in sets.items():
            if name not in arrays:
                continue
            ids = token_ids(arrays[name], name)
            if compat == "official":
                samples.append(Samples(role=role, sequences=[*ids], max_length=ids.shape[1]))
                continue
            mask = arrays.get("attention_mask") if role == "tokens" else None
            samples.append(samples_of(ids, mask, role))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return samples


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        arrays = read_npz(path)
    except FileNotFoundError:
        raise InputError(f"calibration.data: no file {str(path)!r}") from None
    if not {"input_ids"} <= arrays.keys() <= {"input_ids", "attention_mask", "code_ids"}:
        raise InputError(
            f"{path}: contains {listed(sorted(arrays)) or 'nothing'}; "
            "expected input_ids, and optionally attention_mask and code_ids"
        )
    return arrays


def samples_of(
    input_ids: np.ndarray, attention_mask: np.ndarray | None = None, role: str = "tokens"
) -> Samples:
    """Samples of ready-made token rows, padded on either side or not at all.

    Args:
      input_ids: [N, T] of any integer type; row i is sample i.
      attention_mask: [N, T], 1 at real tokens; by default all tokens are real.
      role: role of all samples.

    Raises:
      InputError: not a matrix of token ids, a mask of another shape or with values other than 0 and 1, or a row without
        real tokens or with pads between them.
    """
    ids = token_ids(input_ids, "input_ids")
    mask = np.asarray(np.ones(ids.shape) if attention_mask is None else attention_mask)
    if mask.shape != ids.shape:
        raise InputError(f"attention_mask: shape {mask.shape}; input_ids has {ids.shape}")
    if not np.isin(mask, (0, 1)).all():
        raise InputError("attention_mask: has values other than 0 and 1")
    return Samples(role=role, sequences=_left_justify(ids, mask.astype(bool)))


def token_ids(array: np.ndarray, name: str) -> Int32[np.ndarray, "N T"]:
    """The array as int32 token ids.

    Raises:
      InputError: not a non-empty integer matrix, or an id that is negative or exceeds int32.
    """
    array = np.asarray(array)
    if array.ndim != 2 or not array.size or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"{name}: got {array.dtype} of shape {array.shape}; expected int32 [samples, tokens]"
        )
    wrong = (array < 0) | (array > np.iinfo(np.int32).max)  # int32 would wrap to another token
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise InputError(
            f"{name}: row {row} has {array[wrong][0]}; expected ids from 0 to 2**31 - 1 (mark pads in attention_mask)"
        )
    return array.astype(np.int32)


def _left_justify(
    ids: Int32[np.ndarray, "N T"], mask: Bool[np.ndarray, "N T"]
) -> list[Int32[np.ndarray, " _"]]:
    sequences = []
    for row, real in enumerate(mask):
        places = np.flatnonzero(real)
        if not places.size:
            raise InputError(f"attention_mask: row {row} has no real token")
        if places[-1] - places[0] + 1 != places.size:
            raise InputError(
                f"attention_mask: row {row} has pads between real tokens; "
                "expected pads on the left or the right"
            )
        sequences.append(ids[row, places])
    return sequences
