"""The header of a safetensors file: https://huggingface.co/docs/safetensors, section Format.

Read here and not by the format's library, which gives whole tensors only, and no bfloat16 without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from hearth.errors import ModelFileInvalid, ModelFileTruncated, because
from hearth.i18n import tr
from hearth.model_folder.json_file import decode_json
from hearth.model_folder.lfs_pointer import check_no_pointer
from hearth.quantize.checkpoint.stored_tensor import StoredTensor, bytes_of

# Some hundred bytes a tensor. The format's own library takes six times as much, which would be a gigabyte in memory.
_HEADER_MAX_BYTES = 16 << 20
_LENGTH_BYTES = 8
# Enough to tell what else it is.
_LOOKED_AT_BYTES = 64
_METADATA = "__metadata__"


class _Entry(msgspec.Struct):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def read_safetensors(file: Path) -> dict[str, StoredTensor]:
    """The tensors of one file by name; none of their values is read.

    Raises:
        ModelFileInvalid: it is no such file, or a tensor's place makes no sense.
        ModelFileTruncated: it ends before a tensor does.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            beginning = stream.read(_LENGTH_BYTES)
            length = int.from_bytes(beginning, "little")
            if size < _LENGTH_BYTES or not 2 <= length <= _HEADER_MAX_BYTES:
                check_no_pointer(file, beginning + stream.read(_LOOKED_AT_BYTES))
                raise ModelFileInvalid(file=str(file), reason=tr("it is no safetensors file"))
            header = stream.read(length)
    except OSError as error:
        raise ModelFileInvalid(file=str(file), reason=because(error)) from error
    begin = _LENGTH_BYTES + length
    if len(header) < length:
        raise ModelFileTruncated(file=str(file), actual=size, expected=begin)
    raw = decode_json(file, header, dict[str, msgspec.Raw])
    raw.pop(_METADATA, None)
    tensors = {
        name: _tensor(file, name, decode_json(file, bytes(entry), _Entry), begin, size)
        for name, entry in raw.items()
    }
    _check_apart(file, tensors)
    return tensors


def _check_apart(file: Path, tensors: Mapping[str, StoredTensor]) -> None:
    """No number belongs to two tensors: a small file could otherwise claim to be a huge model."""
    end = 0
    for tensor in sorted(tensors.values(), key=lambda tensor: tensor.offset):
        length = bytes_of(tensor.dtype, tensor.shape) or 0
        if length and tensor.offset < end:
            reason = tr("its tensor “{name}” lies where another one does", name=tensor.name[:100])
            raise ModelFileInvalid(file=str(file), reason=reason)
        end = max(end, tensor.offset + length)


def _tensor(file: Path, name: str, entry: _Entry, begin: int, size: int) -> StoredTensor:
    first, last = entry.data_offsets
    needed = bytes_of(entry.dtype, entry.shape)
    if needed is None:
        reason = tr("its tensor “{name}” has the type {type}", name=name[:100], type=entry.dtype[:20])
        raise ModelFileInvalid(file=str(file), reason=reason)
    if first < 0 or min(entry.shape, default=0) < 0 or last - first != needed:
        reason = tr(
            "its tensor “{name}” has {length} bytes where its shape needs {needed}",
            name=name[:100],
            length=last - first,
            needed=needed,
        )
        raise ModelFileInvalid(file=str(file), reason=reason)
    if begin + last > size:
        raise ModelFileTruncated(file=str(file), actual=size, expected=begin + last)
    return StoredTensor(file, name, entry.dtype, entry.shape, begin + first)
