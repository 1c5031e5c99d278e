"""The files beside a graph that hold its weights, checked before native code opens them.

A graph names a file, an offset and a length per tensor. Each is checked here: the file lies in the model's folder
(CVE-2022-25882, CVE-2024-27318 and others were ways around that) and is long enough, and the length is the one that
the tensor's shape needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hearth.errors import ModelFileInvalid, ModelFileOutside, ModelFileTruncated
from hearth.i18n import mark, tr
from hearth.model_folder.confinement import Confinement
from hearth.model_folder.graph_summary import ExternalTensor

# Bits per element of each TensorProto.DataType; strings (8) have none.
_BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128}
_BITS |= {16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2}

# ONNX Runtime reads an offset at this location as an address in memory.
_MEMORY_MARKER = "_ORT_MEM_ADDR_"


def check_external_data(
    graph_file: Path, tensors: Iterable[ExternalTensor], confinement: Confinement
) -> list[Path]:
    """The files that hold the weights, each once, in the order of the graph.

    Raises:
        ModelFileOutside: a file lies outside the folder and its roots.
        ModelFileMissing: a file is not there.
        ModelFileTruncated: a file ends before a tensor does.
        ModelFileInvalid: a place makes no sense.
    """
    files: dict[str, tuple[Path, int]] = {}
    for tensor in tensors:
        location = tensor.entries.get("location", "")
        if _MEMORY_MARKER in location:
            raise ModelFileOutside(file=graph_file.name, target=location)
        if location not in files:
            if not location:
                raise _invalid(graph_file, tensor, mark("its tensor “{name}” has no file"))
            path = confinement.file(location)
            files[location] = path, path.stat().st_size
        path, size = files[location]
        offset = _number(graph_file, tensor, "offset", 0)
        needed = _size(graph_file, tensor)
        length = _number(graph_file, tensor, "length", size - offset if needed is None else needed)
        if needed is not None and length != needed:
            problem = mark("its tensor “{name}” has {length} bytes where its shape needs {needed}")
            raise _invalid(graph_file, tensor, problem, length=length, needed=needed)
        for start, count in ((offset, length), *_prepacked(graph_file, tensor)):
            if start + count > size:
                raise ModelFileTruncated(file=str(path), actual=size, expected=start + count)
    return [path for path, _ in files.values()]


def _size(graph_file: Path, tensor: ExternalTensor) -> int | None:
    """The bytes that the shape needs; None for a type whose size is not known here."""
    if any(dim < 0 for dim in tensor.dims):
        raise _invalid(graph_file, tensor, mark("its tensor “{name}” has a negative size"))
    bits = _BITS.get(tensor.data_type)
    return None if bits is None else -(-math.prod(tensor.dims) * bits // 8)


def _prepacked(graph_file: Path, tensor: ExternalTensor) -> list[tuple[int, int]]:
    """Offset and length of the weights that ONNX Runtime packed ahead: `key|offset;length;checksum|...`."""
    places: list[tuple[int, int]] = []
    for key, value in tensor.entries.items():
        if not key.startswith("prepacked"):
            continue
        for blob in value.split("|")[1:]:
            parts = blob.split(";")
            if len(parts) < 2:
                raise _invalid(graph_file, tensor, mark("its tensor “{name}” has packed weights at no place"))
            places.append((_integer(graph_file, tensor, parts[0]), _integer(graph_file, tensor, parts[1])))
    return places


def _number(graph_file: Path, tensor: ExternalTensor, key: str, default: int) -> int:
    text = tensor.entries.get(key)
    return default if text is None else _integer(graph_file, tensor, text)


def _integer(graph_file: Path, tensor: ExternalTensor, text: str) -> int:
    # int() alone would take signs, blanks, underscores and other alphabets' digits.
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        problem = mark("its tensor “{name}” is at “{place}”, which is not a place in a file")
        raise _invalid(graph_file, tensor, problem, place=text[:40])
    return int(text)


def _invalid(graph_file: Path, tensor: ExternalTensor, problem: str, **params: Any) -> ModelFileInvalid:
    return ModelFileInvalid(file=str(graph_file), reason=tr(problem, name=tensor.name[:100], **params))
