"""A model folder in float16, as those made for GPUs are, made from one in float32 with the weights beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hearth.model_folder.protobuf_reader import Field, ProtobufReader
from onnx_bytes import block, number

FLOAT, HALF = 1, 10
# Fields of GraphProto: initializers; inputs, outputs and all values between.
TENSOR, VALUES = 5, (11, 12, 13)


def with_halves(source: Path, target: Path) -> Path:
    """Write to `target` the same model with weights, keys, values and logits in float16; its path."""
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.is_file() and file.suffix not in (".onnx", ".data") and file.name != "manifest.json":
            (target / file.name).write_bytes(file.read_bytes())
    model = (source / "model.onnx").read_bytes()
    weights = (source / "model.onnx.data").read_bytes()
    (target / "model.onnx").write_bytes(_Halved(model, weights).model())
    return target


class _Halved:
    """One rewriting of a ModelProto."""

    def __init__(self, model: bytes, weights: bytes) -> None:
        self._bytes = model
        self._weights = weights
        self._reader = ProtobufReader(model)

    def model(self) -> bytes:
        return b"".join(
            block(7, self._graph(item)) if item.number == 7 else self._copied(item)
            for item in self._reader.fields()
        )

    def _graph(self, graph: Field) -> bytes:
        return b"".join(
            block(TENSOR, self._tensor(part))
            if part.number == TENSOR
            else block(part.number, self._value(part, (2, 1, 1)))
            if part.number in VALUES
            else self._copied(part)
            for part in self._inside(graph)
        )

    def _value(self, message: Field, path: tuple[int, ...]) -> bytes:
        """A ValueInfoProto with another element type, which lies at `path`."""
        first, *rest = path
        return b"".join(
            self._copied(item)
            if item.number != first
            else block(first, self._value(item, tuple(rest)))
            if rest
            else number(first, HALF if item.value == FLOAT else item.value)
            for item in self._inside(message)
        )

    def _tensor(self, tensor: Field) -> bytes:
        fields = self._inside(tensor)
        data_type = next(item.value for item in fields if item.number == 2)
        entries = dict(
            [self._reader.text(each) for each in self._inside(item)] for item in fields if item.number == 13
        )
        if entries:
            start = int(entries.get("offset", 0))
            data = self._weights[start : start + int(entries["length"])]
        else:
            data = next((self._bytes[item.start : item.end] for item in fields if item.number == 9), b"")
        kept = b"".join(self._copied(item) for item in fields if item.number not in (2, 9, 13, 14))
        if data and data_type == FLOAT:
            data, data_type = np.frombuffer(data, "<f4").astype("<f2").tobytes(), HALF
        return kept + number(2, data_type) + (block(9, data) if data else b"")

    def _inside(self, message: Field) -> list[Field]:
        return list(self._reader.fields(message.start, message.end))

    def _copied(self, item: Field) -> bytes:
        payload = self._bytes[item.start : item.end]
        return number(item.number, item.value) if item.wire == 0 else block(item.number, payload)
