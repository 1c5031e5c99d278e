"""The tensors of a file that `torch.save` wrote: a zip file with a pickle in it and one entry for each storage.

A pickle is a program, and this one is somebody else's. So it is not run by Python's `pickle`: its opcodes are read one by
one, those that a dictionary of tensors needs are followed, and the first other one ends the reading. No name in it is
ever imported. Format: torch/serialization.py; the opcodes: pickletools.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import zipfile
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearth.errors import CheckpointUnsupported, ModelFileInvalid, ModelFileTruncated, because
from hearth.i18n import tr
from hearth.model_folder.lfs_pointer import check_no_pointer
from hearth.quantize.checkpoint.stored_tensor import StoredTensor, bytes_of

# Of the pickle, and of the zip's directory: both have some hundred bytes a tensor.
_MOST_BYTES = 8 << 20
_MOST_DIMENSIONS = 8
_MOST_NUMBERS = 1 << 62
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 1
_LOOKED_AT_BYTES = 64
_OLD_FORMAT = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"

_STORAGES = {
    "torch DoubleStorage": "F64",
    "torch FloatStorage": "F32",
    "torch HalfStorage": "F16",
    "torch BFloat16Storage": "BF16",
    "torch LongStorage": "I64",
    "torch IntStorage": "I32",
    "torch ShortStorage": "I16",
    "torch CharStorage": "I8",
    "torch ByteStorage": "U8",
    "torch BoolStorage": "BOOL",
}
_REBUILD, _PARAMETER = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
_DICT = "collections OrderedDict"
_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE"})
_EMPTY = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True, slots=True)
class _Name:
    """What the pickle would import: module and name."""

    text: str


@dataclass(frozen=True, slots=True)
class _Storage:
    dtype: str
    key: str
    numbers: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """Numbers of a storage, from `start` on."""

    storage: _Storage
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Refused(Exception):
    """The pickle wants something that no dictionary of tensors needs."""


def read_torch(file: Path) -> dict[str, StoredTensor]:
    """The tensors of one file by name; none of their values is read.

    Raises:
        ModelFileInvalid: it is no such file, asks for more than tensors, or a tensor's place makes no sense.
        ModelFileTruncated: it ends before a tensor does.
        CheckpointUnsupported: it is in the format before the zip files.
    """
    try:
        with file.open("rb") as stream:
            beginning = stream.read(_LOOKED_AT_BYTES)
            check_no_pointer(file, beginning)
            if beginning.startswith(_OLD_FORMAT):
                reason = tr(
                    "{file} is in PyTorch's old format; save it anew with PyTorch 1.6 or later,"
                    " or take the safetensors files",
                    file=file.name,
                )
                raise CheckpointUnsupported(name=file.parent.name, reason=reason)
        size = file.stat().st_size
        with _CappedFile(file) as capped, zipfile.ZipFile(capped) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            return _Reader(file, size, capped, entries).tensors()
    except OSError as error:
        raise ModelFileInvalid(file=str(file), reason=because(error)) from error
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        EOFError,
        ValueError,
        OverflowError,
        struct.error,
    ) as error:
        raise ModelFileInvalid(file=str(file), reason=tr("it is no whole PyTorch file")) from error
    except _Refused as error:
        reason = tr("it asks for {what}, which no tensor needs", what=str(error)[:100])
        raise ModelFileInvalid(file=str(file), reason=reason) from error


class _CappedFile(io.FileIO):
    """What `zipfile` reads: the size of the directory that a file claims to have is no reason to read it all."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            place = self.tell()
            size = max(0, self.seek(0, io.SEEK_END) - place)
            self.seek(place)
        if size > _MOST_BYTES:
            raise zipfile.BadZipFile
        return super().read(size) or b""


class _Reader:
    """One opened file."""

    def __init__(self, file: Path, size: int, stream: io.FileIO, entries: dict[str, zipfile.ZipInfo]) -> None:
        self._file = file
        self._size = size
        self._stream = stream
        self._entries = entries
        pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise zipfile.BadZipFile
        self._folder = pickles[0].removesuffix("data.pkl")

    def tensors(self) -> dict[str, StoredTensor]:
        if "byteorder" in self._names() and self._content("byteorder") != b"little":
            raise self._invalid(tr("its numbers are in the order of other processors"))
        content = _unpickle(self._content("data.pkl"))
        if not isinstance(content, dict):
            raise _Refused(type(content).__name__)
        places: dict[str, int] = {}
        return {name: self._stored(name, value, places) for name, value in content.items()}

    def _names(self) -> set[str]:
        return {name.removeprefix(self._folder) for name in self._entries}

    def _stored(self, name: str, value: Any, places: dict[str, int]) -> StoredTensor:
        if not isinstance(value, _Tensor):
            raise _Refused(type(value).__name__)
        storage, count = value.storage, math.prod(value.shape)
        needed = bytes_of(storage.dtype, (storage.numbers,)) or 0
        if storage.key not in places:
            places[storage.key] = self._place(f"data/{storage.key}", needed)
        if value.start < 0 or min(value.shape, default=0) < 0 or value.start + count > storage.numbers:
            reason = tr(
                "its tensor “{name}” has {length} bytes where its shape needs {needed}",
                name=name[:100],
                length=needed,
                needed=bytes_of(storage.dtype, (value.start + count,)),
            )
            raise self._invalid(reason)
        if count and not _is_contiguous(value):
            raise self._invalid(tr("its tensor “{name}” is not stored row by row", name=name[:100]))
        offset = places[storage.key] + (bytes_of(storage.dtype, (value.start,)) or 0)
        return StoredTensor(self._file, name, storage.dtype, value.shape, offset)

    def _place(self, name: str, needed: int) -> int:
        """Where the bytes of an entry begin, which must be there as they are."""
        entry = self._entries.get(self._folder + name)
        if entry is None:
            raise self._invalid(tr("it has no entry “{name}”", name=name[:100]))
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & _ENCRYPTED:
            raise self._invalid(tr("its entry “{name}” is compressed or encrypted", name=name[:100]))
        self._stream.seek(entry.header_offset)
        header = self._stream.read(_LOCAL_HEADER_BYTES)
        if len(header) < _LOCAL_HEADER_BYTES or header[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile
        # The name and the extra field here may be longer than in the directory: torch pads with them.
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        begin = entry.header_offset + _LOCAL_HEADER_BYTES + lengths
        if entry.file_size < needed or entry.compress_size != entry.file_size:
            reason = tr(
                "its entry “{name}” has {length} bytes and should have {needed}",
                name=name[:100],
                length=entry.file_size,
                needed=needed,
            )
            raise self._invalid(reason)
        if begin + entry.file_size > self._size:
            raise ModelFileTruncated(
                file=str(self._file), actual=self._size, expected=begin + entry.file_size
            )
        return begin

    def _content(self, name: str) -> bytes:
        """A small entry."""
        begin = self._place(name, 0)
        entry = self._entries[self._folder + name]
        self._stream.seek(begin)
        content = self._stream.read(entry.file_size)
        if zlib.crc32(content) != entry.CRC:
            raise zipfile.BadZipFile
        return content

    def _invalid(self, reason: str) -> ModelFileInvalid:
        return ModelFileInvalid(file=str(self._file), reason=reason)


def _is_contiguous(tensor: _Tensor) -> bool:
    expected = 1
    for length, stride in zip(reversed(tensor.shape), reversed(tensor.strides), strict=True):
        if length != 1 and stride != expected:
            return False
        expected *= length
    return True


def _unpickle(program: bytes) -> Any:
    """What the pickle stands for, made of dictionaries, lists, tuples, texts, numbers and tensors."""
    try:
        return _Machine().run(program)
    except _Refused:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, UnicodeError) as error:
        raise _Refused(tr("something that makes no sense")) from error


class _Machine:
    """The stack and the memory that the opcodes work on."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memory: dict[int, Any] = {}

    def run(self, program: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(program):
            if opcode.name == "STOP":
                break
            self._step(opcode.name, argument)
        (result,) = self._stack
        return result

    def _step(self, opcode: str, argument: Any) -> None:
        stack, memory = self._stack, self._memory
        if opcode in _VALUES:
            if isinstance(argument, str):
                argument.encode()  # raises for halves of characters, which no error message could carry
            stack.append(argument)
        elif opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode])
        elif opcode in _EMPTY:
            stack.append(_EMPTY[opcode]())
        elif opcode in _SHORT_TUPLES:
            self._tuple(_SHORT_TUPLES[opcode])
        else:
            match opcode:
                case "PROTO" | "FRAME":
                    pass
                case "MARK":
                    stack.append(_MARK)
                case "TUPLE":
                    stack.append(tuple(self._to_mark()))
                case "BINPUT" | "LONG_BINPUT":
                    memory[argument] = stack[-1]
                case "MEMOIZE":
                    memory[len(memory)] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memory[argument])
                case "GLOBAL":
                    stack.append(_Name(argument))
                case "STACK_GLOBAL":
                    self._tuple(2)
                    module, name = stack.pop()
                    stack.append(_Name(f"{module} {name}"))
                case "SETITEM" | "SETITEMS":
                    values = self._to_mark() if opcode == "SETITEMS" else [stack.pop(), stack.pop()][::-1]
                    names = values[::2]
                    # Asked first: the hash of a tuple of tuples of tuples would overflow Python's own stack.
                    if not all(type(name) is str for name in names):
                        raise TypeError
                    self._top(dict).update(zip(names, values[1::2], strict=True))
                case "APPEND" | "APPENDS":
                    values = self._to_mark() if opcode == "APPENDS" else [stack.pop()]
                    self._top(list).extend(values)
                case "BINPERSID":
                    stack.append(_storage(stack.pop()))
                case "REDUCE":
                    arguments, name = stack.pop(), stack.pop()
                    stack.append(_call(name, arguments))
                case "BUILD":
                    stack.pop()  # what a state dictionary knows of its modules' versions
                    self._top(dict)
                case _:
                    raise _Refused(opcode)

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError
        values = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._stack.append(values)

    def _to_mark(self) -> list[Any]:
        place = len(self._stack) - 1
        while self._stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise IndexError
        values = self._stack[place + 1 :]
        del self._stack[place:]
        return values

    def _top(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise TypeError
        return self._stack[-1]


def _storage(identity: Any) -> _Storage:
    kind, name, key, _, numbers = identity
    if kind != "storage" or not isinstance(name, _Name) or not isinstance(key, str):
        raise TypeError
    if name.text not in _STORAGES:
        raise _Refused(name.text)
    return _Storage(_STORAGES[name.text], key, _count(numbers))


def _call(name: Any, arguments: Any) -> Any:
    """The only things that are ever made by a call."""
    if not isinstance(name, _Name):
        raise TypeError
    if name.text == _DICT and arguments == ():
        return OrderedDict()
    if name.text == _REBUILD:
        storage, start, shape, strides, *_ = arguments
        if not isinstance(storage, _Storage) or not len(shape) == len(strides) <= _MOST_DIMENSIONS:
            raise TypeError
        return _Tensor(storage, _count(start), tuple(map(_count, shape)), tuple(map(_count, strides)))
    if name.text == _PARAMETER and isinstance(arguments[0], _Tensor):
        return arguments[0]
    raise _Refused(name.text)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MOST_NUMBERS:
        raise ValueError
    return value
