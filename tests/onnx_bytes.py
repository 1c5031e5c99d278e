"""Writes small ONNX files and model folders by hand, good ones and hostile ones, for tests without shared data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def varint(value: int) -> bytes:
    out = b""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, payload: bytes | str) -> bytes:
    data = payload.encode() if isinstance(payload, str) else payload
    return varint(field << 3 | 2) + varint(len(data)) + data


def entry(key: str, value: str) -> bytes:
    return block(1, key) + block(2, value)


def tensor(name: str = "weight", dims: tuple[int, ...] = (4,), data_type: int = 1, **external: str) -> bytes:
    """A TensorProto of float32; with external data where entries are given."""
    data = b"".join(number(1, dim) for dim in dims) + number(2, data_type) + block(8, name)
    if external:
        data += b"".join(block(13, entry(key, value)) for key, value in external.items()) + number(14, 1)
    return data


def node(op_type: str = "Identity", *attributes: bytes) -> bytes:
    return block(4, op_type) + b"".join(block(5, attribute) for attribute in attributes)


def graph(*parts: bytes, layers: int = 1, position_ids: bool = False) -> bytes:
    """A GraphProto with the inputs and outputs of a decoder, and `parts` in front."""
    inputs = ["input_ids", "attention_mask"] + ["position_ids"] * position_ids
    outputs = ["logits"]
    for layer in range(layers):
        inputs += [f"past_key_values.{layer}.key", f"past_key_values.{layer}.value"]
        outputs += [f"present.{layer}.key", f"present.{layer}.value"]
    data = b"".join(parts)
    data += b"".join(block(11, block(1, name)) for name in inputs)
    return data + b"".join(block(12, block(1, name)) for name in outputs)


def model(graph_bytes: bytes, *parts: bytes) -> bytes:
    return number(1, 10) + block(2, "tests") + block(7, graph_bytes) + b"".join(parts)


def config(**decoder: Any) -> dict[str, Any]:
    """A small genai_config.json."""
    return {
        "model": {
            "type": "llama",
            "bos_token_id": 1,
            "eos_token_id": 2,
            "context_length": 512,
            "vocab_size": 512,
            "decoder": {
                "filename": "model.onnx",
                "head_size": 16,
                "hidden_size": 64,
                "num_attention_heads": 4,
                "num_hidden_layers": 1,
                "num_key_value_heads": 2,
                **decoder,
            },
        },
        "search": {"temperature": 0.5},
    }


def write_model_folder(folder: Path, *, graph_parts: tuple[bytes, ...] | None = None) -> Path:
    """A folder that passes every check: one tensor of 16 bytes in model.onnx.data."""
    if graph_parts is None:
        graph_parts = (block(5, tensor(location="model.onnx.data", offset="0", length="16")),)
    folder.mkdir(parents=True)
    (folder / "genai_config.json").write_text(json.dumps(config()), "utf-8")
    (folder / "model.onnx").write_bytes(model(graph(*graph_parts)))
    (folder / "model.onnx.data").write_bytes(bytes(range(16)))
    (folder / "tokenizer.json").write_text(
        '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}', "utf-8"
    )
    (folder / "tokenizer_config.json").write_text(
        '{"bos_token": "<s>", "eos_token": {"content": "</s>"}}', "utf-8"
    )
    return folder
