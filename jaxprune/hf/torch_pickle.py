"""The tensors that a pickle of torch.save describes, without unpickling.

`pickle.Unpickler` is not used. A small interpreter of the opcodes builds dicts, lists and tuples, and treats a dozen
names as inert markers; any other name is an error before it could be used.
"""

import pickletools
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxprune.errors import InputError, shown
from jaxprune.hf.safetensors_header import DTYPES

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
_ORDERED_DICT = "collections.OrderedDict"
_REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2"
_REBUILD_PARAMETER = "torch._utils._rebuild_parameter"
_KNOWN = {*STORAGES, _ORDERED_DICT, _REBUILD_TENSOR, _REBUILD_PARAMETER}


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of `count` elements in the archive's entry `data/<key>`."""

    dtype: np.dtype
    key: str
    count: int


@dataclass(frozen=True, slots=True)
class StridedTensor:
    """A view of a storage, in elements. The numbers are those of the file, unchecked."""

    storage: Storage
    offset: Any
    shape: Any
    strides: Any


def state_dict(data: bytes, where: str) -> dict[str, StridedTensor]:
    """The tensors of a pickled state dict, in its order. Messages begin with `where`.

    Raises:
      InputError: the pickle is damaged, contains anything but a dict of tensors, or names anything that such a dict
        does not need.
    """
    try:
        table = _Interpreter(where).run(data)
    except InputError:
        raise
    except (ValueError, IndexError, KeyError, TypeError) as error:
        # errors of pickletools, an empty stack, an unknown memo, a value of an unexpected type
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise InputError(f"{where}: damaged pickle ({reason})") from error
    if not isinstance(table, dict):
        raise InputError(f"{where}: expected a dict of tensors, got {type(table).__name__}")
    for name, value in table.items():
        if not isinstance(value, StridedTensor):
            raise InputError(
                f"{where}: {shown(name)} is of type {type(value).__name__}; expected a dict of tensors"
            )
    return table


@dataclass(frozen=True, slots=True)
class _Name:
    """A known name. Frozen and without attributes to set: BUILD cannot change it."""

    name: str


_MARK = object()
_TEXTS = ("BINUNICODE", "SHORT_BINUNICODE")
_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}


class _Interpreter:
    """A pickle machine for the opcodes that torch.save writes.

    The memo is a dict, so that an index of 2**31 costs one entry, and dict keys must be strings, so that no nested
    tuple is hashed: time and memory are proportional to the length of the pickle.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}

    def run(self, data: bytes) -> object:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return self.pop()
            self.step(opcode.name, argument)
        raise ValueError("no STOP")

    def step(self, opcode: str, argument: object) -> None:
        push = self.stack.append
        match opcode, argument:
            case "PROTO" | "FRAME", _:
                pass
            case _ if opcode in ("NONE", *_TEXTS, *_NUMBERS):
                push(argument)
            case "NEWTRUE" | "NEWFALSE", _:
                push(opcode == "NEWTRUE")
            case "MARK", _:
                push(_MARK)
            case _ if opcode in _EMPTY:
                push(_EMPTY[opcode]())
            case "TUPLE1" | "TUPLE2" | "TUPLE3", _:
                push(tuple(self.pop_last(int(opcode[-1]))))
            case "TUPLE", _:
                push(tuple(self.pop_to_mark()))
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE", _:
                index = argument if isinstance(argument, int) else len(self.memo)
                self.memo[index] = self.stack[-1]
            case "BINGET" | "LONG_BINGET", int():
                push(self.memo[argument])
            case "GLOBAL" | "INST", str():
                push(self.known(argument.replace(" ", ".", 1)))
            case "STACK_GLOBAL", _:
                name, module = self.pop(), self.pop()
                push(self.known(f"{_text(module)}.{_text(name)}"))
            case "BINPERSID", _:
                push(_storage(self.pop()))
            case "REDUCE", _:
                arguments, function = self.pop(), self.pop()
                push(_reduce(function, arguments))
            case "BUILD", _:  # an OrderedDict's attributes, such as a state dict's _metadata
                self.pop()
                if not isinstance(self.stack[-1], dict):
                    raise TypeError("attributes of something other than a dict")
            case "SETITEM" | "SETITEMS", _:
                self.set_items(self.pop_last(2) if opcode == "SETITEM" else self.pop_to_mark())
            case "APPEND" | "APPENDS", _:
                items = self.pop_last(1) if opcode == "APPEND" else self.pop_to_mark()
                target = self.stack[-1]
                if not isinstance(target, list):
                    raise TypeError("items of something other than a list")
                target.extend(items)
            case _:
                raise InputError(
                    f"{self.where}: pickle opcode {opcode} is refused: no dict of tensors needs it"
                )

    def pop(self) -> object:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark in place of a value")
        return value

    def pop_last(self, count: int) -> list[object]:
        return [self.pop() for _ in range(count)][::-1]

    def pop_to_mark(self) -> list[object]:
        items: list[object] = []
        while (value := self.stack.pop()) is not _MARK:
            items.append(value)
        return items[::-1]

    def known(self, name: str) -> _Name:
        if name not in _KNOWN:
            raise InputError(
                f"{self.where}: the pickle names {shown(name)}, which no dict of tensors needs: "
                "refused, nothing was run"
            )
        return _Name(name)

    def set_items(self, items: list[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError("items of something other than a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if _text(key) in target:
                raise InputError(f"{self.where}: duplicate key {shown(_text(key))}")
            target[key] = value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} in place of a name")
    return value


def _storage(value: object) -> Storage:
    match value:
        case ("storage", _Name(name), str(key), str(), int(count)) if name in STORAGES:
            return Storage(STORAGES[name], key, count)
    raise TypeError("a persistent id that is no storage")


def _reduce(function: object, arguments: object) -> object:
    match function, arguments:
        case _Name(name), () if name == _ORDERED_DICT:
            return {}
        case _Name(name), (StridedTensor() as tensor, _, _) if name == _REBUILD_PARAMETER:
            return tensor
        case _Name(name), (Storage() as storage, int(offset), tuple(shape), tuple(strides), *_):
            if name == _REBUILD_TENSOR:
                return StridedTensor(storage, offset, shape, strides)
    raise TypeError("a call that builds no tensor")
