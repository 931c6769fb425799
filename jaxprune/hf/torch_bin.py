"""Torch's `.bin` files: a zip of uncompressed entries, read without torch and without unpickling.

`data.pkl` describes the tensors (see torch_pickle), `data/<key>` are their storages.
"""

import math
import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

from jaxprune.errors import InputError, shown
from jaxprune.hf.safetensors_header import checked_nbytes, is_size
from jaxprune.hf.tensors import StoredTensor
from jaxprune.hf.torch_pickle import Storage, StridedTensor, state_dict

_MAX_PICKLE = 4 << 20  # about 20,000 tensors; an opcode may cost some 100 times its own byte


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one `.bin` file, in the order of its dict. Reads no storage.

    Raises:
      InputError: the file is truncated, is not in torch's zip format, contains anything but a dict of tensors, or names
        anything that such a dict does not need.
    """
    with path.open("rb") as file:
        _check_format(path, file.read(262))
        entries = _entries(path, file)
        pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise InputError(f"{path}: a torch file has one */data.pkl, this has {len(pickles)}")
        folder = pickles[0].removesuffix("data.pkl")
        order = entries.get(folder + "byteorder")
        if order is not None and _content(path, file, order, 16) != b"little":
            raise InputError(f"{path}: its byte order is not little-endian")
        content = _content(path, file, entries[pickles[0]], _MAX_PICKLE)
        tensors = {}
        for name, tensor in state_dict(content, f"{path}: data.pkl").items():
            where = f"{path}: tensor {shown(name)}"
            entry = entries.get(f"{folder}data/{tensor.storage.key}")
            base = _storage_offset(path, file, where, tensor.storage, entry)
            tensors[name] = _tensor_info(path, where, tensor, base)
    return tensors


def _check_format(path: Path, start: bytes) -> None:
    if start.startswith(b"PK\x03\x04"):
        return
    how = (
        f"convert it with a recent torch: t = torch.load({path.name!r}, map_location='cpu', "
        f"weights_only=True); torch.save(t, {path.name!r})"
    )
    if start.startswith(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."):
        raise InputError(f"{path}: torch's format from before version 1.6; {how}")
    if start[257:262] == b"ustar":
        raise InputError(f"{path}: torch's tar format from before version 0.4; save it again")
    raise InputError(f"{path}: not a torch file: it must begin as a zip file does")


def _entries(path: Path, file: BinaryIO) -> dict[str, zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OSError) as error:
        size = path.stat().st_size
        raise InputError(
            f"{path}: truncated or damaged: no readable zip directory at the end of its {size} "
            f"bytes ({str(error)[:200]})"
        ) from error
    entries = {info.filename: info for info in infos}
    if len(entries) < len(infos):
        raise InputError(f"{path}: its zip directory lists an entry twice")
    return entries


def _data_offset(path: Path, file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """The offset of an entry's bytes, from its local header: only that knows torch's padding."""
    where = f"{path}: entry {shown(entry.filename)}"
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise InputError(f"{where} is compressed; torch.save stores entries as they are")
    if entry.flag_bits & 1:
        raise InputError(f"{where} is encrypted")
    header, size = b"", path.stat().st_size
    if 0 <= entry.header_offset < size:
        file.seek(entry.header_offset)
        header = file.read(30)
    if len(header) < 30 or not header.startswith(b"PK\x03\x04"):
        raise InputError(f"{where} has no local header: the file is damaged")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    offset = entry.header_offset + 30 + name_length + extra_length
    end = offset + entry.file_size
    if end > size:
        raise InputError(f"{where} ends at byte {end}, beyond the file's {size}")
    return offset


def _content(path: Path, file: BinaryIO, entry: zipfile.ZipInfo, limit: int) -> bytes:
    offset = _data_offset(path, file, entry)
    if entry.file_size > limit:
        raise InputError(
            f"{path}: entry {shown(entry.filename)} has {entry.file_size} bytes, at most {limit} allowed"
        )
    file.seek(offset)
    return file.read(entry.file_size)


def _storage_offset(
    path: Path, file: BinaryIO, where: str, storage: Storage, entry: zipfile.ZipInfo | None
) -> int:
    if entry is None:
        raise InputError(f"{where}: its storage {shown(storage.key)} is not in the file")
    needed = storage.count * storage.dtype.itemsize
    if entry.file_size < needed:
        raise InputError(
            f"{where}: its storage {shown(storage.key)} has {entry.file_size} bytes, {needed} expected"
        )
    return _data_offset(path, file, entry)


def _tensor_info(path: Path, where: str, tensor: StridedTensor, base: int) -> StoredTensor:
    shape, strides, storage = tensor.shape, tensor.strides, tensor.storage
    checked_nbytes(shape, storage.dtype, where)
    numbers = (*strides, tensor.offset, storage.count)
    if len(strides) != len(shape) or not all(is_size(number) for number in numbers):
        raise InputError(f"{where}: strides and offset must be non-negative whole numbers")
    count = math.prod(shape)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    # Strides of 0 could give a tensor more elements than its storage, of any size in memory.
    if count > storage.count or (count and last >= storage.count):
        raise InputError(
            f"{where}: shape {list(shape)} with strides {list(strides)} from {tensor.offset} does "
            f"not fit its storage of {storage.count} elements"
        )
    steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    contiguous = not count or all(
        n == 1 or stride == step for n, stride, step in zip(shape, strides, steps, strict=True)
    )
    offset = base + tensor.offset * storage.dtype.itemsize if count else base
    return StoredTensor(shape, storage.dtype, path, offset, None if contiguous else strides)
