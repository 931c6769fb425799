"""A safetensors file → offset, shape and dtype of its tensors; shapes and dtypes → the header of a file.

A file is an unsigned 64-bit length n, n bytes of JSON `{name: {dtype, shape, data_offsets}}`, and the contiguous
tensors. The library maps a file to check its header, which reads no tensor.
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from jaxprune.errors import InputError, shown
from jaxprune.files import parse_json, with_bytes
from jaxprune.hf.tensors import StoredTensor

DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
CODES: dict[np.dtype, str] = {dtype: code for code, dtype in DTYPES.items()}

_MAX_RANK = 32
_MAX_HEADER = 100_000_000  # bytes; the library rejects longer ones
_ALIGNMENT = 64


def checked_nbytes(shape: object, dtype: np.dtype, where: str) -> int:
    """Bytes of a tensor of that shape (a list or tuple of int), without overflow.

    Raises:
      InputError: the shape is not a list of non-negative int, or too large for any memory.
    """
    if not isinstance(shape, list | tuple) or not all(is_size(n) for n in shape):
        raise InputError(f"{where}: its shape must be a list of non-negative whole numbers")
    # Axes of size 0 count as 1: numpy rejects [2**62, 8, 0] although it is empty.
    if len(shape) > _MAX_RANK or math.prod(max(n, 1) for n in shape) * dtype.itemsize >= 2**62:
        raise InputError(
            f"{where}: absurd shape (rank {len(shape)}, largest axis {max(shape)}); "
            f"at most rank {_MAX_RANK} and 2**62 bytes"
        )
    return math.prod(shape) * dtype.itemsize


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one safetensors file, in the order of its header. Reads no tensor.

    `safetensors` checks first that the header accounts for every byte of the file, without gap or overlap.

    Raises:
      InputError: the library rejects the file, a name occurs twice, or numpy has no such dtype or shape.
    """
    where, local = f"{path}: safetensors header", _with_header(path)
    try:
        with safe_open(local, "numpy"):
            pass
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")[:200]
        size = local.stat().st_size
        raise InputError(f"{where}: truncated or damaged, of {size} bytes: {reason}") from error
    with local.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        # The library uses the last of two equal names.
        header = parse_json(file.read(length), where)
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        tensor, code = f"{path}: tensor {shown(name)}", entry["dtype"]
        if code not in DTYPES:
            raise InputError(f"{tensor}: unknown dtype {code}; known are {', '.join(DTYPES)}")
        checked_nbytes(entry["shape"], DTYPES[code], tensor)
        offset = 8 + length + entry["data_offsets"][0]
        tensors[name] = StoredTensor(tuple(entry["shape"]), DTYPES[code], path, offset)
    return tensors


def _with_header(path: Path) -> Path:
    """A local file of the same size with at least the header."""
    local = with_bytes(path, [(0, 1)])
    size = local.stat().st_size
    with local.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    return with_bytes(path, [(0, min(8 + length, _MAX_HEADER, size))])


def file_header(
    specs: Mapping[str, tuple[tuple[int, ...], np.dtype]],
) -> tuple[bytes, dict[str, int]]:
    """The start of a file with tensors of these shapes and dtypes in this order, and the offsets of the tensors.

    The header is padded with spaces so that the first tensor begins at a multiple of 64 bytes.

    Raises:
      InputError: safetensors has no such dtype.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    begins, end = {}, 0
    for name, (shape, dtype) in specs.items():
        if dtype not in CODES:
            raise InputError(f"tensor {shown(name)}: safetensors has no dtype for {dtype}")
        begin = begins[name] = end
        end += math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    start = struct.pack("<Q", len(text)) + text
    return start, {name: len(start) + begin for name, begin in begins.items()}


def is_size(value: object) -> bool:
    """Whether a foreign value is a valid count: an int from 0 to 2**62 - 1, not a bool."""
    # No file or memory is larger, and str() of much longer integers fails in a message.
    return type(value) is int and 0 <= value < 2**62
