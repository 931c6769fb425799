"""Torch's `.bin` files, read without torch: zips of `data.pkl`, which describes tensors, and of storages `data/<key>`.

`data.pkl` is unpickled with a fixed list of names, which stand for descriptions; any other name is an error.
"""

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from jaxprune.base.errors import InputError, shown
from jaxprune.hf.safetensors_header import DTYPES
from jaxprune.hf.tensors import StoredTensor

STORAGES = {
    "torch.DoubleStorage": DTYPES["F64"],
    "torch.FloatStorage": DTYPES["F32"],
    "torch.HalfStorage": DTYPES["F16"],
    "torch.BFloat16Storage": DTYPES["BF16"],
    "torch.LongStorage": DTYPES["I64"],
    "torch.IntStorage": DTYPES["I32"],
    "torch.ShortStorage": DTYPES["I16"],
    "torch.CharStorage": DTYPES["I8"],
    "torch.ByteStorage": DTYPES["U8"],
    "torch.BoolStorage": DTYPES["BOOL"],
}


class _Storage(NamedTuple):
    """A run of `elements` in the archive's entry `data/<key>`."""

    dtype: np.dtype
    key: str
    elements: int


class _View(NamedTuple):
    """A view of a storage, in elements. The numbers are unchecked."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


class _Unpickler(pickle.Unpickler):
    """Unpickles a dict of tensors. It finds only names that describe tensors; nothing else can be called."""

    def __init__(self, content: bytes, where: str) -> None:
        super().__init__(io.BytesIO(content))
        self._where = where

    def find_class(self, module: str, name: str) -> object:
        qualified_name = f"{module}.{name}"
        if qualified_name in STORAGES:
            return qualified_name
        if qualified_name == "collections.OrderedDict":
            return OrderedDict
        # New functions for each pickle, which may set their attributes.
        if qualified_name == "torch._utils._rebuild_tensor_v2":
            return lambda *arguments: _View(*arguments[:4])
        if qualified_name == "torch._utils._rebuild_parameter":
            return lambda *arguments: arguments[0]
        raise InputError(
            f"{self._where}: the pickle names {shown(qualified_name)}, which no dict of tensors needs: "
            "refused, nothing was run"
        )

    def persistent_load(self, pid: object) -> _Storage:
        match pid:
            case ("storage", str(name), str(key), str(), int(count)) if name in STORAGES:
                return _Storage(STORAGES[name], key, count)
        raise pickle.UnpicklingError("a persistent id that is no storage")


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one `.bin` file, in the order of its dict. Reads no storage.

    Raises:
      InputError: the file is truncated, is not in torch's zip format, contains anything but a dict of tensors, or names
        anything that such a dict does not need.
    """
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            raise InputError(
                f"{path}: not a torch file of version 1.6 or later, which is a zip; an older one: torch.load it with a "
                "recent torch and torch.save it again"
            )
        try:
            with zipfile.ZipFile(file) as archive:
                return _tensors(path, archive, file)
        except InputError:
            raise
        except Exception as error:  # zipfile and pickle raise errors of any type for damaged bytes
            reason = f"{type(error).__name__}: {str(error)[:200]}"
            raise InputError(f"{path}: truncated or damaged ({reason})") from error


def _state_dict(content: bytes, where: str) -> dict[str, _View]:
    """The tensors of a pickled state dict, in its order. Messages begin with `where`.

    Raises:
      InputError: the pickle contains anything but a dict of tensors, or names anything that such a dict does not need.
      Exception: of one of many types; the pickle is damaged.
    """
    table = _Unpickler(content, where).load()
    if not isinstance(table, dict):
        raise InputError(f"{where}: expected a dict of tensors, got {type(table).__name__}")
    for name, value in table.items():
        if not isinstance(name, str) or not isinstance(value, _View):
            raise InputError(
                f"{where}: {shown(name)} is of type {type(value).__name__}; expected a dict of tensors"
            )
    return table


def _tensors(path: Path, archive: zipfile.ZipFile, file: BinaryIO) -> dict[str, StoredTensor]:
    pickles = [n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise InputError(f"{path}: a torch file has one */data.pkl, this has {len(pickles)}")
    folder = pickles[0].removesuffix("data.pkl")
    entries = archive.NameToInfo
    if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
        raise InputError(f"{path}: its byte order is not little-endian")
    tensors = {}
    for name, tensor in _state_dict(archive.read(pickles[0]), f"{path}: data.pkl").items():
        where = f"{path}: tensor {shown(name)}"
        _check_fits(tensor, where)
        entry = entries.get(f"{folder}data/{tensor.storage.key}")
        if entry is None:
            raise InputError(f"{where}: its storage {shown(tensor.storage.key)} is not in the file")
        archive.open(entry).close()  # checks its local header
        tensors[name] = _stored(path, tensor, _data_offset(file, entry, tensor.storage, where))
    return tensors


def _check_fits(tensor: _View, where: str) -> None:
    """Rejects a tensor that does not lie in its storage."""
    storage, offset, shape, strides = tensor
    if not isinstance(storage, _Storage) or len(shape) != len(strides):
        raise InputError(f"{where}: no storage, or no stride for each axis")
    if not all(type(number) is int and number >= 0 for number in (offset, *shape, *strides)):
        raise InputError(f"{where}: shape, strides and offset must be non-negative whole numbers")
    count = math.prod(shape)
    span = count and 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    # Strides of 0 could give a tensor more elements than its storage, of any size in memory.
    if max(count, offset + span) > storage.elements:
        raise InputError(
            f"{where}: shape {list(shape)} with strides {list(strides)} from {offset} does not fit its storage of "
            f"{storage.elements} elements"
        )


def _data_offset(file: BinaryIO, entry: zipfile.ZipInfo, storage: _Storage, where: str) -> int:
    """The offset of a storage's bytes, from its local header: only that knows torch's padding."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise InputError(
            f"{where}: its storage is compressed or encrypted; torch.save stores it as it is"
        )
    needed = storage.elements * storage.dtype.itemsize
    if entry.file_size < needed:
        raise InputError(
            f"{where}: its storage {shown(storage.key)} has {entry.file_size} bytes, {needed} expected"
        )
    file.seek(entry.header_offset)
    name_length, extra_length = struct.unpack("<26x2H", file.read(30))
    offset = entry.header_offset + 30 + name_length + extra_length
    size = file.seek(0, io.SEEK_END)
    if offset + needed > size:
        raise InputError(f"{where}: its storage ends beyond the file's {size} bytes")
    return offset


def _stored(path: Path, tensor: _View, start: int) -> StoredTensor:
    storage, offset, shape, strides = tensor
    steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    contiguous = not math.prod(shape) or all(
        n == 1 or stride == step for n, stride, step in zip(shape, strides, steps, strict=True)
    )
    start += offset * storage.dtype.itemsize
    return StoredTensor(
        tuple(shape), storage.dtype, path, start, None if contiguous else tuple(strides)
    )
