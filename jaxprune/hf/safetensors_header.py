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
import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open

from jaxprune.base.errors import InputError, shown
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

_ALIGNMENT = 64


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one safetensors file, in the order of its header. Reads no tensor.

    `safetensors` checks first that the header accounts for every byte of the file, without gap or overlap.

    Raises:
      InputError: the library rejects the file, or numpy has no such dtype.
    """
    try:
        with safe_open(path, "numpy"):
            pass
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")[:200]
        size = path.stat().st_size
        raise InputError(
            f"{path}: safetensors header: truncated or damaged, of {size} bytes: {reason}"
        ) from error
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = msgspec.json.decode(file.read(length))
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        code = entry["dtype"]
        if code not in DTYPES:
            raise InputError(
                f"{path}: tensor {shown(name)}: unknown dtype {code}; known are {', '.join(DTYPES)}"
            )
        offset = 8 + length + entry["data_offsets"][0]
        tensors[name] = StoredTensor(tuple(entry["shape"]), DTYPES[code], path, offset)
    return tensors


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
