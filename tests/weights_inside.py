"""A model folder whose graph holds the weights itself, made from one with the weights beside it."""

from __future__ import annotations

from pathlib import Path

from hearth.model_folder.protobuf_reader import Field, ProtobufReader
from onnx_bytes import block, number


def with_weights_inside(source: Path, target: Path) -> Path:
    """Write to `target` the same model in one graph file; its path."""
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.is_file() and file.suffix not in (".onnx", ".data") and file.name != "manifest.json":
            (target / file.name).write_bytes(file.read_bytes())
    model = (source / "model.onnx").read_bytes()
    weights = (source / "model.onnx.data").read_bytes()
    reader = ProtobufReader(model)

    def copied(part: Field) -> bytes:
        payload = model[part.start : part.end]
        return number(part.number, part.value) if part.wire == 0 else block(part.number, payload)

    def tensor(part: Field) -> bytes:
        fields = list(reader.fields(part.start, part.end))
        entries = {}
        for item in fields:
            if item.number == 13:
                key, value = (reader.text(each) for each in reader.fields(item.start, item.end))
                entries[key] = value
        kept = b"".join(copied(item) for item in fields if item.number not in (13, 14))
        if not entries:
            return kept
        start = int(entries.get("offset", 0))
        return kept + block(9, weights[start : start + int(entries["length"])])

    whole = b""
    for item in reader.fields():
        if item.number != 7:
            whole += copied(item)
            continue
        parts = reader.fields(item.start, item.end)
        graph = [block(5, tensor(part)) if part.number == 5 else copied(part) for part in parts]
        whole += block(7, b"".join(graph))
    (target / "model.onnx").write_bytes(whole)
    return target
