"""The safetensors header: where each tensor of a file lies, checked before one byte is read.

A file is an unsigned 64-bit length n, n bytes of JSON `{name: {dtype, shape, data_offsets}}`, and
the tensors one after another without gaps.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np

from jaxprune.errors import InputError
from jaxprune.files import parse_json

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

_MAX_HEADER = 100_000_000  # the format's own limit
_MAX_RANK = 32
_ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where one tensor lies and what it is.

    `offset` and `nbytes` are in bytes, `offset` from the start of `file`. `strides` counts elements
    and is None for the usual case, one run of `nbytes` bytes in C order; only `.bin` has others.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    file: Path
    offset: int
    nbytes: int
    strides: tuple[int, ...] | None = None


def quoted(name: str) -> str:
    """A name from a file as an error may show it: on one line and not endless."""
    return repr(name if len(name) <= 120 else name[:120] + "…")


def checked_nbytes(shape: object, dtype: np.dtype, where: str) -> int:
    """Bytes of a tensor of that shape (a list or tuple of int), without overflow.

    Raises:
      InputError: the shape is no list of non-negative int, or too large for any memory.
    """
    if not isinstance(shape, list | tuple) or not all(is_size(n) for n in shape):
        raise InputError(f"{where}: its shape must be a list of non-negative whole numbers")
    # Axes of size 0 count as 1: numpy refuses [2**62, 8, 0] although it holds nothing.
    if len(shape) > _MAX_RANK or math.prod(max(n, 1) for n in shape) * dtype.itemsize >= 2**62:
        raise InputError(
            f"{where}: absurd shape (rank {len(shape)}, largest axis {max(shape)}); "
            f"at most rank {_MAX_RANK} and 2**62 bytes"
        )
    return math.prod(shape) * dtype.itemsize


def read_header(path: Path) -> dict[str, TensorInfo]:
    """The tensors of one safetensors file, in the order of its header. Reads nothing else.

    Raises:
      InputError: the file is truncated, has bytes too many, or its header breaks the format.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise InputError(f"{path}: no safetensors file: {size} bytes, at least 8 expected")
        (length,) = struct.unpack("<Q", prefix)
        if length > _MAX_HEADER:
            raise InputError(
                f"{path}: no safetensors file: its first 8 bytes promise a header of {length} "
                f"bytes, at most {_MAX_HEADER} allowed"
            )
        if 8 + length > size:
            raise InputError(
                f"{path}: truncated: {size} bytes, its header alone ends at {8 + length}"
            )
        header = parse_object(file.read(length), f"{path}: safetensors header")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise InputError(f"{path}: __metadata__ in its header must map text to text")
    tensors = {name: _entry(path, name, entry, 8 + length) for name, entry in header.items()}
    _check_layout(path, tensors, 8 + length, size)
    return tensors


def header_bytes(specs: Mapping[str, tuple[tuple[int, ...], np.dtype]]) -> bytes:
    """The length and header of a file that holds tensors of these shapes and dtypes in this order.

    Padded with spaces so that the first tensor begins at a multiple of 64 bytes.

    Raises:
      InputError: safetensors has no such dtype.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (shape, dtype) in specs.items():
        if dtype not in CODES:
            raise InputError(f"tensor {quoted(name)}: safetensors has no dtype for {dtype}")
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    return struct.pack("<Q", len(text)) + text


def parse_object(data: bytes, where: str) -> dict[str, object]:
    """A JSON object from foreign bytes; refuses what `files.parse_json` does.

    Raises:
      InputError: the bytes are anything else than one such object. `where` opens the message.
    """
    table = parse_json(data, where)
    if not isinstance(table, dict):
        raise InputError(f"{where}: must be a JSON object, is of type {type(table).__name__}")
    return table


def _entry(path: Path, name: str, entry: object, base: int) -> TensorInfo:
    where = f"{path}: tensor {quoted(name)}"
    if not isinstance(entry, dict) or not entry.keys() >= {"dtype", "shape", "data_offsets"}:
        raise InputError(f"{where}: its header entry must have dtype, shape and data_offsets")
    code, offsets = entry["dtype"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        shown = quoted(code) if isinstance(code, str) else type(code).__name__
        raise InputError(f"{where}: unknown dtype {shown}; known are {', '.join(DTYPES)}")
    dtype = DTYPES[code]
    nbytes = checked_nbytes(entry["shape"], dtype, where)
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(is_size, offsets)):
        raise InputError(f"{where}: data_offsets must be two non-negative whole numbers")
    begin, end = offsets
    if end - begin != nbytes:
        raise InputError(
            f"{where}: data_offsets span {end - begin} bytes, its shape and dtype need {nbytes}"
        )
    return TensorInfo(tuple(entry["shape"]), dtype, path, base + begin, nbytes)


def _check_layout(path: Path, tensors: Mapping[str, TensorInfo], base: int, size: int) -> None:
    """Tensors follow one another from the header's end to the file's: no gap, no overlap."""
    end = base
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].nbytes)):
        if info.offset != end:
            raise InputError(
                f"{path}: tensor {quoted(name)} begins at byte {info.offset}, the one before it "
                f"ends at {end}: tensors must follow one another without gap or overlap"
            )
        end += info.nbytes
    if size < end:
        last = next(name for name, info in tensors.items() if info.offset + info.nbytes > size)
        raise InputError(
            f"{path}: truncated: {size} bytes, its header promises {end} "
            f"(tensor {quoted(last)} is cut)"
        )
    if size > end:
        raise InputError(f"{path}: {size} bytes, its header accounts for {end} only")


def is_size(value: object) -> bool:
    """Whether a foreign value can count something: an int from 0 to 2**62 - 1, and no bool."""
    # Beyond that no file or memory reaches, and str() of far longer integers fails in a message.
    return type(value) is int and 0 <= value < 2**62
