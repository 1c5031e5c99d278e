"""What Hearth must know of a graph before native code reads it: its inputs, outputs and external data.

Field numbers and meanings are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hearth.errors import ModelFileInvalid, ModelUnsupported
from hearth.i18n import tr
from hearth.model_folder.protobuf_reader import Field, ProtobufError, ProtobufReader

MAX_DEPTH = 16
MAX_DIMS = 64
EXTERNAL = 1

Visit = Callable[[Field, int], None]


@dataclass(frozen=True, slots=True)
class ExternalTensor:
    """A tensor whose bytes lie in another file.

    Attributes:
        entries: its external_data entries: location, and mostly offset and length.
        dims: its shape.
        data_type: a TensorProto.DataType.
    """

    name: str
    entries: dict[str, str]
    dims: tuple[int, ...]
    data_type: int


@dataclass(slots=True)
class GraphSummary:
    """Names of the graph's inputs and outputs, and every tensor in the model with external data."""

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    external: list[ExternalTensor] = field(default_factory=list)


def read_graph(path: Path) -> GraphSummary:
    """Read the summary of the ONNX file at `path`; payloads of tensors are never touched.

    Raises:
        ModelFileInvalid: it is not an ONNX model.
        ModelUnsupported: it is compiled for one accelerator only.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise ModelFileInvalid(file=str(path), reason=tr("it is empty"))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            try:
                return _Walk(ProtobufReader(buffer)).model()
            except ProtobufError as error:
                raise ModelFileInvalid(file=str(path), reason=str(error)) from error
            except _CompiledElsewhere as error:
                raise ModelUnsupported(
                    name=path.parent.name, reason=tr("its graph is compiled for another accelerator")
                ) from error


class _CompiledElsewhere(Exception):
    """An EPContext node: a blob, or a path to one, that is meant for one accelerator's driver."""


class _Walk:
    """One walk over a ModelProto. Each method visits one message type and knows its field numbers.

    A singular message field that occurs twice would be merged by protobuf, and so checked here in two halves that
    native code reads as one; no writer makes such files, so they are refused.
    """

    def __init__(self, reader: ProtobufReader) -> None:
        self._reader = reader
        self._summary = GraphSummary()

    def model(self) -> GraphSummary:
        version, graphs = 0, 0
        for item in self._reader.fields():
            if item.number == 1:
                version = item.value
            elif item.number == 7:
                graphs += 1
                self._graph(self._message(item), 0, top=True)
            elif item.number == 20:  # TrainingInfoProto: initialization and algorithm
                self._each(item, {1: self._graph, 2: self._graph}, 1)
            elif item.number == 25:
                self._each(item, {7: self._node, 11: self._attribute}, 1)
        if graphs != 1 or not 0 < version < 100 or not self._summary.outputs:
            raise ProtobufError(tr("it is not an ONNX graph"))
        return self._summary

    def _each(self, parent: Field, visits: dict[int, Visit], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ProtobufError(tr("its graphs are nested too deeply"))
        for item in self._reader.fields(parent.start, parent.end):
            visit = visits.get(item.number)
            if visit is not None:
                visit(self._message(item), depth + 1)

    def _graph(self, graph: Field, depth: int, top: bool = False) -> None:
        visits: dict[int, Visit] = {1: self._node, 5: self._tensor, 15: self._sparse_tensor}
        if top:
            visits[11] = lambda item, _: self._summary.inputs.append(self._name(item))
            visits[12] = lambda item, _: self._summary.outputs.append(self._name(item))
        self._each(graph, visits, depth)

    def _node(self, node: Field, depth: int) -> None:
        for item in self._reader.fields(node.start, node.end):
            if item.number == 4 and self._reader.text(item) == "EPContext":
                raise _CompiledElsewhere
            if item.number == 5:
                self._attribute(self._message(item), depth)

    def _attribute(self, attribute: Field, depth: int) -> None:
        seen: set[int] = set()
        visits: dict[int, Visit] = {5: self._tensor, 6: self._graph, 22: self._sparse_tensor}
        repeated: dict[int, Visit] = {10: self._tensor, 11: self._graph, 23: self._sparse_tensor}
        for item in self._reader.fields(attribute.start, attribute.end):
            if item.number in visits:
                if item.number in seen:
                    raise ProtobufError(tr("a value in it is given twice (at byte {byte})", byte=item.start))
                seen.add(item.number)
            visit = visits.get(item.number) or repeated.get(item.number)
            if visit is not None:
                visit(self._message(item), depth)

    def _sparse_tensor(self, sparse: Field, depth: int) -> None:
        self._each(sparse, {1: self._tensor, 2: self._tensor}, depth)

    def _tensor(self, tensor: Field, _depth: int) -> None:
        name, dims, data_type, location = "", list[int](), 0, 0
        entries: dict[str, str] = {}
        for item in self._reader.fields(tensor.start, tensor.end):
            if item.number == 1:
                dims += self._reader.integers(item)
                if len(dims) > MAX_DIMS:
                    raise ProtobufError(
                        tr("a tensor in it has too many dimensions (at byte {byte})", byte=item.start)
                    )
            elif item.number == 2:
                data_type = item.value
            elif item.number == 8:
                name = self._reader.text(item)
            elif item.number == 13:
                key, value = self._entry(self._message(item))
                if key in entries:
                    raise ProtobufError(
                        tr("the place of a tensor is given twice (at byte {byte})", byte=item.start)
                    )
                entries[key] = value
            elif item.number == 14:
                location = max(location, item.value)
        if location == EXTERNAL or entries:
            self._summary.external.append(ExternalTensor(name, entries, tuple(dims), data_type))

    def _entry(self, entry: Field) -> tuple[str, str]:
        """A StringStringEntryProto."""
        key, value = "", ""
        for item in self._reader.fields(entry.start, entry.end):
            if item.number == 1:
                key = self._reader.text(item)
            elif item.number == 2:
                # ONNX Runtime keeps the list of prepacked weights here, and it may be long.
                value = self._reader.text(item, limit=1 << 20)
        return key, value

    def _name(self, value_info: Field) -> str:
        for item in self._reader.fields(value_info.start, value_info.end):
            if item.number == 1:
                return self._reader.text(item)
        return ""

    @staticmethod
    def _message(item: Field) -> Field:
        if item.wire != 2:
            raise ProtobufError(tr("it is not an ONNX graph (at byte {byte})", byte=item.start))
        return item
